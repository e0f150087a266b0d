// The sm80 body of dense attention: a thread block of four warps takes 64 query rows through all
// keys, 64 at a time. The next keys are copied while the present ones are multiplied; the values
// while the scores are made.
#pragma once

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/dense_forward.h"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/row_output.cuh"
#include "kernels/cuda/shared_tile.cuh"

namespace sparsescope::cuda {

struct DenseForwardConfig {
  static constexpr int kRows = kRowLanes;
  static constexpr int kWarps = kRows / kWarpRows;
  static constexpr int kThreads = 32 * kWarps;
};

template <typename Elem, int kHeadDim>
struct DenseForwardShared {
  Elem queries[kRowLanes * kHeadDim];
  Elem keys[2][kKeys * kHeadDim];
  Elem values[kKeys * kHeadDim];
};

template <typename Elem, int kHeadDim>
__global__ void __launch_bounds__(DenseForwardConfig::kThreads)
    dense_forward_kernel(const __grid_constant__ DenseForward<Elem> call) {
  using Config = DenseForwardConfig;
  auto& shared = *reinterpret_cast<DenseForwardShared<Elem, kHeadDim>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const RowBlock block = call.row_blocks[blockIdx.x];
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const int32_t* tokens = call.row_order + block.first;
  const Elem* q = call.q.head(head);
  const Elem* k = call.k.head(static_cast<int32_t>(blockIdx.y));
  const Elem* v = call.v.head(static_cast<int32_t>(blockIdx.y));

  const auto copy_block = [&](Elem* tile, const HeadRows<Elem>& rows, const Elem* of_head,
                              int32_t key_block) {
    copy_rows_async<kHeadDim, kKeys, Config::kThreads>(tile, thread, [&](int row, int) {
      return of_head + (int64_t{key_block} * kKeys + row) * rows.stride_row;
    });
    commit_copies();
  };
  copy_rows_async<kHeadDim, kRowLanes, Config::kThreads>(shared.queries, thread, [&](int row, int) {
    return row < block.count ? q + tokens[row] * call.q.stride_row : nullptr;
  });
  copy_block(shared.keys[0], call.k, k, 0);

  WarpRows<Elem, kHeadDim> rows;
  rows.clear();
  for (int32_t j = 0; j < call.num_key_blocks; ++j) {
    wait_for_copies<0>();
    __syncthreads();
    copy_block(shared.values, call.v, v, j);
    copy_block(shared.keys[(j + 1) % 2], call.k, k, min(j + 1, call.num_key_blocks - 1));
    if (j == 0) rows.load_queries(shared.queries, kWarpRows * warp, lane);

    float p[kOctets][4], factor[2];
    rows.scores(shared.keys[j % 2], call.valid[j], lane, p);
    rows.probabilities(p, call.scale_log2, factor, [](int, float, float) {});
    wait_for_copies<1>();
    __syncthreads();
    rows.add_values(p, shared.values, lane);
  }
  wait_for_copies<0>();
  write_rows(rows, call.out, head, tokens + kWarpRows * warp, block.count - kWarpRows * warp, lane);
}

template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream) {
  launch(dense_forward_kernel<Elem, kHeadDim>,
         {.grid = dim3(call.num_row_blocks, call.num_heads),
          .block = dim3(DenseForwardConfig::kThreads),
          .shared_bytes = sizeof(DenseForwardShared<Elem, kHeadDim>)},
         stream, call);
}

}  // namespace sparsescope::cuda
