// The sm80 kernel of dq: a strand's items in order, as in the forward pass, 16 rows a warp against
// 64 keys at a time.
//
//   S = Q K^T,  dP = dO V^T,  dS = P * (dP - delta),  dQ += scale dS K
#pragma once

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/math.cuh"
#include "kernels/cuda/gradient_rows.cuh"
#include "kernels/cuda/segment_cursor.cuh"
#include "kernels/cuda/shared_tile.cuh"
#include "kernels/cuda/sparse_backward.h"
#include "kernels/cuda/strand_queue.cuh"
#include "kernels/cuda/tile_positions.cuh"
#include "kernels/cuda/warp_products.cuh"

namespace sparsescope::cuda {

template <typename Elem, int kHeadDim, int kRows>
struct BackwardRowsShared {
  Elem queries[kRows * kHeadDim];
  Elem d_out[kRows * kHeadDim];
  Elem keys[2][TilePositions::kRows * kHeadDim];
  Elem values[TilePositions::kRows * kHeadDim];
  TilePositions key_positions;
  const Elem *k, *v;  // of the item's head
  StrandWork work;
};

// Turns scores and dP into dS.
template <int kOctets>
__device__ inline void differentiate(float (&s)[kOctets][4], const float (&dp)[kOctets][4],
                                     uint64_t valid, float scale_log2, const RowTerms (&terms)[2],
                                     int lane) {
  const uint64_t mine = valid >> (2 * (lane % 4));
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const RowTerms& row = terms[j / 2];
      const float p = exp2_fast(fmaf(s[octet][j], scale_log2, -row.lse));
      const bool present = (mine >> (8 * octet + j % 2) & 1) != 0;
      s[octet][j] = present ? p * (dp[octet][j] - row.delta) : 0.0f;
    }
  }
}

// The item of shared.work.
template <typename Elem, int kHeadDim, int kRows>
__device__ void run_item(BackwardRowsShared<Elem, kHeadDim, kRows>& shared,
                         const SparseBackward<Elem>& call) {
  constexpr int kThreads = 2 * kRows, kKeys = TilePositions::kRows, kWarpRows = 16;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int first_row = kWarpRows * warp;
  const SparseSelection& lists = call.selection;
  const SparseItem& item = shared.work.item;
  const auto head = [&] { return shared.work.strand.batch * call.heads + shared.work.strand.head; };
  const auto tokens = [&] { return lists.rows + item.first_row; };

  const auto copy_keys = [&](Elem* tile, const Elem* of_head, int32_t block) {
    const int32_t* positions = shared.key_positions.of(block);
    copy_rows_async<kHeadDim, kKeys, kThreads>(tile, thread, [&](int row, int) {
      const int32_t position = positions[row];
      return position < 0 ? nullptr : of_head + int64_t{position} * kHeadDim;
    });
    commit_copies();
  };
  const auto copy_rows = [&](Elem* tile, const HeadRows<Elem>& rows) {
    const Elem* of_head = rows.head(head());
    copy_rows_async<kHeadDim, kRows, kThreads>(tile, thread, [&](int row, int) {
      return row < item.num_rows ? of_head + tokens()[row] * rows.stride_row : nullptr;
    });
  };

  const RangeSegments ranges{lists.range_ids, lists.ranges};
  SegmentCursor cursor(ranges, item.first_range, item.first_range + item.num_ranges);
  shared.key_positions.find(0, thread, ranges, cursor);
  shared.key_positions.find(1, thread, ranges, cursor);
  if (thread == 0) {
    shared.k = call.k.head(head());
    shared.v = call.v.head(head());
  }
  copy_rows(shared.queries, call.q);
  copy_rows(shared.d_out, call.d_out);
  __syncthreads();
  copy_keys(shared.keys[0], shared.k, 0);

  RowTerms terms[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first_row + lane / 4 + 8 * r;
    terms[r] =
        row < item.num_rows ? call.terms_of(head())[tokens()[row]] : RowTerms{INFINITY, 0.0f};
  }
  float dq[kHeadDim / 8][4];
  clear_fragment(dq);
  const bool active = first_row < item.num_rows;
  for (int32_t j = 0; shared.key_positions.any(j); ++j) {
    wait_for_copies<0>();
    __syncthreads();
    copy_keys(shared.values, shared.v, j);
    copy_keys(shared.keys[(j + 1) % 2], shared.k, j + 1);
    shared.key_positions.find(j + 2, thread, ranges, cursor);

    float s[kKeys / 8][4], dp[kKeys / 8][4];
    if (active) {
      multiply_tiles<kHeadDim>(s, shared.queries, first_row, shared.keys[j % 2], 0, lane);
    }
    wait_for_copies<1>();
    __syncthreads();
    if (active) {
      multiply_tiles<kHeadDim>(dp, shared.d_out, first_row, shared.values, 0, lane);
      const uint64_t valid = shared.key_positions.valid(j, lane);
      differentiate(s, dp, valid, call.scale_log2, terms, lane);
      add_weighted_rows<Elem, kHeadDim>(dq, s, shared.keys[j % 2], 0, lane);
    }
  }
  wait_for_copies<0>();
  const int32_t* warp_tokens = tokens() + first_row;
  const int num_rows = item.num_rows - first_row;
  write_gradient(dq, call, shared.work.strand.merges, head(), warp_tokens, num_rows, lane);
}

template <typename Elem, int kHeadDim, int kRows>
__global__ void __launch_bounds__(2 * kRows, (kHeadDim == 64 ? 3 : 2) * 64 / kRows)
    sparse_backward_rows_kernel(const __grid_constant__ SparseBackward<Elem> call,
                                const StrandQueue queue) {
  auto& shared = *reinterpret_cast<BackwardRowsShared<Elem, kHeadDim, kRows>*>(dynamic_shared());
  run_strands(queue, call.selection, shared.work, [&] { run_item(shared, call); });
}

template <typename Elem, int kHeadDim>
void run_sparse_backward_rows(const SparseBackward<Elem>& call, int32_t max_blocks,
                              cudaStream_t stream) {
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>(max_blocks, call.selection.num_strands));
  const auto run = [&]<int kRows>(TileHeight height) {
    launch(sparse_backward_rows_kernel<Elem, kHeadDim, kRows>,
           {.grid = dim3(blocks),
            .block = dim3(2 * kRows),
            .shared_bytes = sizeof(BackwardRowsShared<Elem, kHeadDim, kRows>)},
           stream, call, call.queues[height]);
  };
  run.template operator()<32>(kRows32);
  run.template operator()<64>(kRows64);
  run.template operator()<64>(kRows128);  // an item at a time
}

}  // namespace sparsescope::cuda
