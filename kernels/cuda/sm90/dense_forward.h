// Dense attention on Hopper: the same call as run_dense_forward, keys and values packed with heads
// at equal distances.
#pragma once

#include <cstdint>

#include "kernels/cuda/dense_forward.h"

namespace sparsescope::cuda::sm90 {

// Instantiated for __nv_bfloat16 and __half, D 64 and 128.
template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream);

inline constexpr int kDenseGroups = 2;  // row blocks of a thread block

// Masses take the room of a stage: the copies of three key blocks are under way, not of four.
constexpr int dense_stages(bool with_masses) { return with_masses ? 3 : 4; }

// Rings of key and value tiles, each with its barriers, at multiples of 1,024 bytes.
constexpr int64_t dense_tile_bytes(int head_dim, bool with_masses) {
  constexpr int kKeys = 64, kBarriers = 1024;
  return 2 * (int64_t{dense_stages(with_masses)} * kKeys * head_dim * 2 + kBarriers);
}

// Bytes of shared memory that a thread block of run_dense_forward takes; num_bins 0: plain.
constexpr int64_t dense_forward_shared_bytes(int head_dim, int64_t num_bins) {
  const int64_t bins = num_bins == 0 ? 0 : kDenseGroups * (num_bins + kSpareBins) * kBinPitch;
  return dense_tile_bytes(head_dim, num_bins > 0) + bins * static_cast<int64_t>(sizeof(float));
}

}  // namespace sparsescope::cuda::sm90
