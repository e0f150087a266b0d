// Intervals in the JSON of a command.
#pragma once

#include <optional>

#include "core/json_io.h"
#include "stats/intervals.h"

namespace sparsescope {

// [low, high], or null where too few prompts tell.
inline Json to_json(const std::optional<Interval>& interval) {
  return interval ? Json({interval->low, interval->high}) : Json(nullptr);
}

}  // namespace sparsescope
