// A warp sorts 32 R keys that it holds in registers: key i is number i % R of lane i / R, so that
// most steps of the bitonic network stay within a lane. Each merge first compares with the mirrored
// key: every step then puts the earlier key in front, whatever its place.
#pragma once

#include <cstdint>

#include "kernels/cuda/block_scan.cuh"

namespace sparsescope::cuda {

// Which of two keys comes first.
__device__ inline float front(float a, float b) { return fmaxf(a, b); }  // the larger one
__device__ inline float behind(float a, float b) { return fminf(a, b); }
__device__ inline uint32_t front(uint32_t a, uint32_t b) { return min(a, b); }  // the smaller one
__device__ inline uint32_t behind(uint32_t a, uint32_t b) { return max(a, b); }
__device__ inline uint64_t front(uint64_t a, uint64_t b) { return a < b ? a : b; }  // likewise
__device__ inline uint64_t behind(uint64_t a, uint64_t b) { return a < b ? b : a; }

template <typename Key>
__device__ inline void put_in_order(Key& a, Key& b) {
  const Key first = front(a, b);
  b = behind(a, b);
  a = first;
}

// Steps of the distances below those that are merged, all within the lane.
template <int R, typename Key>
__device__ inline void merge_within_lane(Key (&keys)[R]) {
#pragma unroll
  for (int step = R / 2; step > 0; step /= 2) {
#pragma unroll
    for (int i = 0; i < R; ++i) {
      if ((i & step) == 0) put_in_order(keys[i], keys[i + step]);
    }
  }
}

template <int R, typename Key>
__device__ inline void sort_within_lane(Key (&keys)[R]) {
#pragma unroll
  for (int run = 2; run <= R; run *= 2) {
#pragma unroll
    for (int i = 0; i < R; ++i) {
      if ((i & (run / 2)) == 0) put_in_order(keys[i], keys[i ^ (run - 1)]);
    }
#pragma unroll
    for (int step = run / 4; step > 0; step /= 2) {
#pragma unroll
      for (int i = 0; i < R; ++i) {
        if ((i & step) == 0) put_in_order(keys[i], keys[i + step]);
      }
    }
  }
}

// All lanes of the warp call.
template <int R, typename Key>
__device__ inline void sort_in_warp(Key (&keys)[R], int lane) {
  const auto keep = [](Key own, Key other, bool lower) {
    return lower ? front(own, other) : behind(own, other);
  };
  sort_within_lane(keys);
#pragma unroll 1
  for (int run = 2; run <= 32; run *= 2) {  // lanes
    const bool lower = (lane & (run / 2)) == 0;
#pragma unroll
    for (int i = 0; i < R / 2; ++i) {
      Key& mirrored = keys[R - 1 - i];
      const Key first = __shfl_xor_sync(~0u, mirrored, run - 1);
      const Key second = __shfl_xor_sync(~0u, keys[i], run - 1);
      keys[i] = keep(keys[i], first, lower);
      mirrored = keep(mirrored, second, lower);
    }
#pragma unroll 1
    for (int step = run / 4; step > 0; step /= 2) {
#pragma unroll
      for (int i = 0; i < R; ++i) {
        keys[i] = keep(keys[i], __shfl_xor_sync(~0u, keys[i], step), (lane & step) == 0);
      }
    }
    merge_within_lane(keys);
  }
}

// Values by rank in shared memory, rank i at place_of_rank<R>(i): lanes write without bank
// conflicts.
template <int R>
__device__ inline int place_of_rank(int rank) {
  return rank / R * (R + 1) + rank % R;
}

// The sum of the first count values, of all lanes' values in the order of their ranks; count, of at
// most 32 R, may differ from lane to lane. by_rank [32 (R + 1)] is the warp's, and holds the values
// afterwards.
template <int R>
__device__ inline double sum_first(const float (&values)[R], int count, float* by_rank, int lane) {
  __syncwarp();
  double sums[2] = {};
#pragma unroll
  for (int i = 0; i < R; ++i) {
    by_rank[lane * (R + 1) + i] = values[i];
    sums[i % 2] += values[i];
  }
  const double sum = warp_inclusive_sum(sums[0] + sums[1], lane);
  const int whole = count / R;  // lanes
  const double before = __shfl_sync(~0u, sum, whole > 0 ? whole - 1 : 0);
  double total = whole > 0 ? before : 0.0;
  __syncwarp();
  for (int i = whole * R; i < count; ++i) total += by_rank[place_of_rank<R>(i)];
  return total;
}

}  // namespace sparsescope::cuda
