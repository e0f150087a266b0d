// Weights and sums over the lanes of a row block.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/row_groups.h"

namespace sparsescope {

using Lanes = std::array<float, kRowLanes>;

// 1 in count lanes from first on, else 0.
inline Lanes lanes_between(int32_t first, int32_t count) {
  Lanes lanes{};
  std::fill_n(lanes.begin() + first, count, 1.0f);
  return lanes;
}

inline double sum_of(const float* lanes, int32_t count) {
  double sum = 0.0;
  for (int32_t lane = 0; lane < count; ++lane) sum += lanes[lane];
  return sum;
}

}  // namespace sparsescope
