// Settings of VMoBA's selection.
#pragma once

#include <cstdint>

#include "plan/plan.h"

namespace sparsescope {

inline constexpr int64_t kGateCacheBytes = int64_t{64} << 20;

struct VmobaOptions {
  VmobaParams params;
  bool compat = false;  // edge cases of the public code, see GateRule::compat
  int64_t cache_bytes = kGateCacheBytes;
};

}  // namespace sparsescope
