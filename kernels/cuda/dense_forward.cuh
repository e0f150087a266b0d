// The sm80 body of dense attention: a thread block of four warps takes 64 query rows through all
// keys, 64 at a time. The next keys are copied while the present ones are multiplied; the values
// while the scores are made. With masses (row_masses.cuh) the same loop also keeps the statistics.
#pragma once

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/dense_forward.h"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/mass_output.cuh"
#include "kernels/cuda/row_output.cuh"
#include "kernels/cuda/shared_tile.cuh"

namespace sparsescope::cuda {

struct DenseForwardConfig {
  static constexpr int kRows = kRowLanes;
  static constexpr int kWarps = kRows / kWarpRows;
  static constexpr int kThreads = 32 * kWarps;
};

// The bins of masses follow.
template <typename Elem, int kHeadDim>
struct DenseForwardShared {
  Elem keys[2][kKeys * kHeadDim];
  Elem values[kKeys * kHeadDim];  // the queries at first
};

template <int kHeadDim, typename Elem>
__device__ void copy_queries(Elem* tile, const DenseForward<Elem>& call, int32_t head, int thread) {
  const RowBlock block = call.row_blocks[blockIdx.x];
  const Elem* q = call.q.head(head);
  copy_rows_async<kHeadDim, kRowLanes, DenseForwardConfig::kThreads>(
      tile, thread, [&](int row, int) {
        return row < block.count ? q + call.row_order[block.first + row] * call.q.stride_row
                                 : nullptr;
      });
  commit_copies();
}

// grid: row blocks, heads
template <typename Elem, int kHeadDim, bool kWithMasses>
__global__ void __launch_bounds__(DenseForwardConfig::kThreads,
                                  dense_forward_blocks(kHeadDim, kWithMasses))
    dense_forward_kernel(const __grid_constant__ DenseForward<Elem> call) {
  using Config = DenseForwardConfig;
  using Shared = DenseForwardShared<Elem, kHeadDim>;
  auto& shared = *reinterpret_cast<Shared*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int first_row = kWarpRows * warp;
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const Elem* k = call.k.head(head);
  const Elem* v = call.v.head(head);

  // Copies the block that source points to.
  const auto copy_block = [&](Elem* tile, const Elem* source) {
    copy_tile_async<kHeadDim, kKeys, Config::kThreads>(tile, thread, source);
    commit_copies();
  };
  copy_block(shared.keys[0], k);
  copy_queries<kHeadDim>(shared.values, call, head, thread);

  WarpRows<Elem, kHeadDim> rows;
  rows.clear();
  wait_for_copies<0>();
  __syncthreads();
  rows.load_queries(shared.values, first_row, lane);

  const int64_t item = int64_t{blockIdx.y} * call.num_row_blocks + blockIdx.x;
  auto masses = [&] {
    if constexpr (kWithMasses) {
      return RowMasses(masses_of_block(call.masses, item),
                       reinterpret_cast<float*>(dynamic_shared() + sizeof(Shared)), first_row,
                       call.row_blocks[blockIdx.x].count - first_row, lane);
    } else {
      return NoMasses{};
    }
  }();
  for (int32_t j = 0; j < call.num_key_blocks; ++j) {
    wait_for_copies<0>();
    __syncthreads();
    copy_block(shared.values, v);
    v += kKeys * kHeadDim;
    if (j + 1 < call.num_key_blocks) k += kKeys * kHeadDim;  // else the last again
    copy_block(shared.keys[(j + 1) % 2], k);

    masses.begin(j);
    float p[kOctets][4], factor[2];
    rows.scores(shared.keys[j % 2], call.valid[j], lane, p);
    const RowSoftmax before[2] = {rows.softmax[0], rows.softmax[1]};
    rows.probabilities(p, call.scale_log2, factor, [&](int r, float probability, float exponent) {
      masses.observe(r, probability, exponent);
    });
    masses.after_softmax(p, before, rows.softmax, factor);
    masses.add_block(p);
    wait_for_copies<1>();
    __syncthreads();
    rows.add_values(p, shared.values, lane);
  }
  wait_for_copies<0>();
  // Read again: nothing that the loop does not need is kept in registers.
  const RowBlock block = call.row_blocks[blockIdx.x];
  const int num_rows = block.count - first_row;
  write_rows(rows, call.out, head, call.row_order + block.first + first_row, num_rows, lane);
  if constexpr (kWithMasses) {
    write_masses(masses, rows, call.masses, item, first_row, num_rows, lane);
  }
}

template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream) {
  const bool with_masses = call.masses.blocks != nullptr;
  launch(with_masses ? dense_forward_kernel<Elem, kHeadDim, true>
                     : dense_forward_kernel<Elem, kHeadDim, false>,
         {.grid = dim3(call.num_row_blocks, call.num_heads),
          .block = dim3(DenseForwardConfig::kThreads),
          .shared_bytes = static_cast<size_t>(
              dense_forward_shared_bytes(kHeadDim, with_masses ? call.masses.num_bins : 0))},
         stream, call);
}

}  // namespace sparsescope::cuda
