// Sizes and padding of column sorts.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "capture/statistic_grids.h"
#include "core/row_groups.h"

namespace sparsescope {

// Rows that a sort of this many needs: a power of two, at least 16.
inline int64_t sort_rows(int64_t rows) {
  return std::max<int64_t>(16, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows))));
}

// K(f) of every f, as the kernels take it.
inline std::vector<int32_t> coverage_counts(int64_t num_tiles) {
  std::vector<int32_t> counts;
  for (const double f : kFractions)
    counts.push_back(static_cast<int32_t>(tiles_kept(f, num_tiles)));
  return counts;
}

// Copies [rows, 64] into a buffer of sort_rows(rows) rows and fills the rest.
inline void copy_padded(const float* data, int64_t rows, float filler, std::vector<float>& out) {
  std::copy(data, data + rows * kRowLanes, out.begin());
  std::fill(out.begin() + rows * kRowLanes, out.end(), filler);
}

}  // namespace sparsescope
