// How trajectories were sampled: a plan's evidence says it of the profile behind the plan, a
// validation report of itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json_io.h"
#include "core/token_grid.h"
#include "plan/json_place.h"

namespace sparsescope {

struct SamplingRecord {
  int64_t steps = 1;
  double guidance = 1;    // 1: the conditional branch alone
  std::string scheduler;  // "flow-euler", "unipc"
  double shift = 1;       // of the noise grid
  uint64_t seed = 0;      // of the initial noise
  TokenGrid grid{1, 1, 1};
  std::optional<double> guidance_2;  // of the low-noise expert, where there is one and guidance
  bool operator==(const SamplingRecord&) const = default;
};

Json sampling_record_to_json(const SamplingRecord& record);
SamplingRecord read_sampling_record(const JsonPlace& place);  // strict: Error(kData)

}  // namespace sparsescope
