// The sm80 body of block-sparse attention. A thread block takes strands off a queue and runs their
// items in order: up to 64 rows, 16 a warp, against 64 keys at a time of the item's ranges, which
// are filled across the ranges' borders. Copies run as in dense_forward.cuh; where the keys of a
// block lie is found two blocks ahead.
//
// Rows of a strand that merges begin each item with what they have of the items before: their
// output, maximum and sum. The barrier between items makes it visible.
#pragma once

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/merged_rows.cuh"
#include "kernels/cuda/row_output.cuh"
#include "kernels/cuda/segment_cursor.cuh"
#include "kernels/cuda/shared_tile.cuh"
#include "kernels/cuda/sparse_forward.h"
#include "kernels/cuda/strand_queue.cuh"
#include "kernels/cuda/tile_positions.cuh"

namespace sparsescope::cuda {

// Thread blocks that a multiprocessor holds at a time, as far as registers go.
constexpr int sparse_forward_blocks(int head_dim, int rows) {
  return rows == 64 ? 3 : head_dim == 64 ? 6 : 4;
}

template <typename Elem, int kHeadDim>
struct SparseForwardShared {
  Elem keys[2][kKeys * kHeadDim];
  Elem values[kKeys * kHeadDim];  // the queries at first
  TilePositions key_positions;
  const Elem *k, *v;  // of the item's head
  StrandWork work;
};

// The item of shared.work.
template <typename Elem, int kHeadDim, int kRows>
__device__ void run_item(SparseForwardShared<Elem, kHeadDim>& shared,
                         const SparseForward<Elem>& call) {
  constexpr int kThreads = 2 * kRows;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int first_row = kWarpRows * warp;
  const SparseSelection& lists = call.selection;
  const SparseItem& item = shared.work.item;
  const auto head = [&] { return shared.work.strand.batch * call.heads + shared.work.strand.head; };
  const auto tokens = [&] { return lists.rows + item.first_row; };

  const auto copy_block = [&](Elem* tile, const Elem* of_head, int32_t block) {
    const int32_t* positions = shared.key_positions.of(block);
    copy_rows_async<kHeadDim, kKeys, kThreads>(tile, thread, [&](int row, int) {
      const int32_t position = positions[row];
      return position < 0 ? nullptr : of_head + int64_t{position} * kHeadDim;
    });
    commit_copies();
  };

  const RangeSegments ranges{lists.range_ids, lists.ranges};
  SegmentCursor cursor(ranges, item.first_range, item.first_range + item.num_ranges);
  shared.key_positions.find(0, thread, ranges, cursor);
  shared.key_positions.find(1, thread, ranges, cursor);
  if (thread == 0) {
    shared.k = call.k.head(head());
    shared.v = call.v.head(head());
  }
  const Elem* q = call.q.head(head());
  copy_rows_async<kHeadDim, kRows, kThreads>(shared.values, thread, [&](int row, int) {
    return row < item.num_rows ? q + tokens()[row] * call.q.stride_row : nullptr;
  });
  __syncthreads();
  copy_block(shared.keys[0], shared.k, 0);

  WarpRows<Elem, kHeadDim> rows;
  rows.clear();
  wait_for_copies<0>();
  __syncthreads();
  rows.load_queries(shared.values, first_row, lane);
  if (shared.work.strand.merges) {
    load_merged(rows, call, head(), tokens() + first_row, item.num_rows - first_row,
                computed_anew(lane));
  }
  const bool active = first_row < item.num_rows;
  for (int32_t j = 0; shared.key_positions.any(j); ++j) {
    wait_for_copies<0>();
    __syncthreads();
    copy_block(shared.values, shared.v, j);
    copy_block(shared.keys[(j + 1) % 2], shared.k, j + 1);
    shared.key_positions.find(j + 2, thread, ranges, cursor);

    const int part = computed_anew(lane);
    float p[kOctets][4], factor[2];
    if (active) {
      const uint64_t valid = shared.key_positions.valid(j, part);
      rows.scores(shared.keys[j % 2], valid, part, p);
      rows.probabilities(p, call.scale_log2, factor, [](int, float, float) {});
    }
    wait_for_copies<1>();
    __syncthreads();
    if (active) rows.add_values(p, shared.values, part);
  }
  wait_for_copies<0>();
  const int32_t* warp_tokens = tokens() + first_row;
  const int num_rows = item.num_rows - first_row;
  write_rows(rows, call.out, head(), warp_tokens, num_rows, computed_anew(lane),
             ItemCopies{call.copies, item.first_row + first_row});
  if (shared.work.strand.merges) {
    store_merged(rows, call, head(), warp_tokens, num_rows, lane);
  }
}

template <typename Elem, int kHeadDim, int kRows>
__global__ void __launch_bounds__(2 * kRows, sparse_forward_blocks(kHeadDim, kRows))
    sparse_forward_kernel(const __grid_constant__ SparseForward<Elem> call,
                          const StrandQueue queue) {
  auto& shared = *reinterpret_cast<SparseForwardShared<Elem, kHeadDim>*>(dynamic_shared());
  run_strands(queue, call.selection, shared.work,
              [&] { run_item<Elem, kHeadDim, kRows>(shared, call); });
}

template <typename Elem, int kHeadDim>
void run_sparse_forward(const SparseForward<Elem>& call, int32_t max_blocks, cudaStream_t stream) {
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>(max_blocks, call.selection.num_strands));
  const auto run = [&]<int kRows>(TileHeight height) {
    launch(sparse_forward_kernel<Elem, kHeadDim, kRows>,
           {.grid = dim3(blocks),
            .block = dim3(2 * kRows),
            .shared_bytes = sizeof(SparseForwardShared<Elem, kHeadDim>)},
           stream, call, call.queues[height]);
  };
  run.template operator()<32>(kRows32);
  run.template operator()<64>(kRows64);
  run.template operator()<64>(kRows128);  // an item at a time
}

}  // namespace sparsescope::cuda
