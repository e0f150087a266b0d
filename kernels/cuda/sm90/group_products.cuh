// The matrix products of a warp group with 64 query rows. Fragments are those of WarpRows
// (forward_tile.cuh): a warp holds 16 of the rows.
#pragma once

#include <cstdint>
#include <cstring>

#include "arch/warpgroup.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/sm90/matrix_descriptor.cuh"

namespace sparsescope::cuda::sm90 {

inline constexpr int kGroupThreads = 128;
inline constexpr int kGroupWarps = kGroupThreads / 32;

// Left factors of a product along 64 keys.
using Probabilities = uint32_t[kKeys / 16][4];

// The rows go from global memory straight to the registers where they stay: each is read once.
// tokens: of the warp's rows, num_rows of them; the others are zero.
template <int kSteps, typename Elem>
__device__ void load_query_rows(uint32_t (&query)[kSteps][4], const Elem* q, int64_t stride_row,
                                const int32_t* tokens, int num_rows, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    const Elem* own = row < num_rows ? q + tokens[row] * stride_row : nullptr;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int column = 16 * step + 8 * half + 2 * (lane % 4);
        query[step][r + 2 * half] =
            own == nullptr ? 0 : *reinterpret_cast<const uint32_t*>(own + column);
      }
    }
  }
}

// S = Q K^T
template <typename Elem, int kSteps>
__device__ void start_scores(float (&s)[kOctets][4], const uint32_t (&query)[kSteps][4],
                             uint32_t keys) {
  const uint64_t descriptor = keys_descriptor(keys);
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    start_product<Elem, Major::kDepth>(s, query[step], descriptor + keys_step<kKeys>(step),
                                       step > 0);
  }
  end_products();
}

// O += P V
template <typename Elem, int kOutOctets>
__device__ void start_outputs(float (&out)[kOutOctets][4], const Probabilities& p,
                              uint32_t values) {
  const uint64_t descriptor = values_descriptor<kKeys>(values);
#pragma unroll
  for (int step = 0; step < kKeys / 16; ++step) {
    start_product<Elem, Major::kColumn>(out, p[step], descriptor + values_step(step), true);
  }
  end_products();
}

// Waits for start_outputs and applies the factors of the softmax that ran meanwhile.
template <typename Elem, int kHeadDim>
__device__ void finish_outputs(WarpRows<Elem, kHeadDim>& rows, const float (&factor)[2],
                               Probabilities& p) {
  // The sums are never below zero, but the compiler does not know: it would move a wait that
  // nothing holds back ahead of the softmax, which then no longer runs beside the products.
  const bool summed = rows.softmax[0].sum + rows.softmax[1].sum >= 0.0f;
  if (__any_sync(0xffffffffu, factor[0] != 1.0f || factor[1] != 1.0f || !summed)) {
    wait_for_products<0>(rows.out, p);
    rows.multiply_outputs(factor);
  } else {
    wait_for_products<0>(rows.out, p);
  }
}

template <typename Elem>
__device__ void pack_probabilities(const float (&s)[kOctets][4], Probabilities& p) {
#pragma unroll
  for (int step = 0; step < kKeys / 16; ++step) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float(&pair)[4] = s[2 * step + j / 2];
      p[step][j] = pack_pair<Elem>(pair[j % 2 * 2], pair[j % 2 * 2 + 1]);
    }
  }
}

}  // namespace sparsescope::cuda::sm90
