// Rows of a warp's result fragments in global memory. Of rows 0..15 a thread holds row lane / 4
// (index 0) and lane / 4 + 8 (index 1), of every eight columns the pair 2 (lane % 4).
#pragma once

#include <cstdint>

namespace sparsescope::cuda {

// Calls act(d, fragment values of columns d and d + 1) for the thread's part of row r.
template <int kOctets, typename Act>
__device__ inline void for_each_pair(float (&fragment)[kOctets][4], int r, int lane,
                                     const Act& act) {
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
    act(8 * octet + 2 * (lane % 4), fragment[octet][2 * r], fragment[octet][2 * r + 1]);
  }
}

// Whether pairs may be read and written at once: rows of an even number of columns at an even
// offset.
__device__ inline bool pairs_aligned(const float* row, int32_t head_dim) {
  return head_dim % 2 == 0 && reinterpret_cast<uintptr_t>(row) % sizeof(float2) == 0;
}

// fragment = factor * row; 0 behind head_dim.
template <int kOctets>
__device__ inline void load_row(float (&fragment)[kOctets][4], int r, float factor,
                                const float* row, int32_t head_dim, int lane) {
  if (pairs_aligned(row, head_dim)) {
    for_each_pair(fragment, r, lane, [&](int d, float& first, float& second) {
      const float2 pair =
          d < head_dim ? *reinterpret_cast<const float2*>(row + d) : float2{0.0f, 0.0f};
      first = factor * pair.x;
      second = factor * pair.y;
    });
  } else {
    for_each_pair(fragment, r, lane, [&](int d, float& first, float& second) {
      first = d < head_dim ? factor * row[d] : 0.0f;
      second = d + 1 < head_dim ? factor * row[d + 1] : 0.0f;
    });
  }
}

// row = factor * fragment
template <int kOctets>
__device__ inline void store_row(float (&fragment)[kOctets][4], int r, float factor, float* row,
                                 int32_t head_dim, int lane) {
  if (pairs_aligned(row, head_dim)) {
    for_each_pair(fragment, r, lane, [&](int d, float& first, float& second) {
      if (d < head_dim) {
        *reinterpret_cast<float2*>(row + d) = {factor * first, factor * second};
      }
    });
  } else {
    for_each_pair(fragment, r, lane, [&](int d, float& first, float& second) {
      if (d < head_dim) row[d] = factor * first;
      if (d + 1 < head_dim) row[d + 1] = factor * second;
    });
  }
}

}  // namespace sparsescope::cuda
