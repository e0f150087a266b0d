// The sm90 body of dense attention. A thread block takes two row blocks through all keys, 64 at a
// time: two warp groups multiply, one row block each, and a third one drives the copy engine.
//
// Within a group, the softmax of a key block runs beside the product of the values of the one
// before. Between the groups, one starts its products while the other is at its softmax: they take
// turns at the matrix unit. The copying group, of which one thread works, gives them its registers.
#pragma once

#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/registers.cuh"
#include "kernels/cuda/row_output.cuh"
#include "kernels/cuda/sm90/dense_forward.h"
#include "kernels/cuda/sm90/group_products.cuh"
#include "kernels/cuda/sm90/tensor_map.h"
#include "kernels/cuda/sm90/tile_ring.cuh"

namespace sparsescope::cuda::sm90 {

struct DenseConfig {
  static constexpr int kGroups = 2;
  static constexpr int kReaders = kGroups * kGroupWarps;
  static constexpr int kThreads = (kGroups + 1) * kGroupThreads;
  static constexpr int kStages = 4;
  static constexpr int kFirstTurn = 1;  // named barriers, one a group
  // Of 168 that each of the 384 threads starts with.
  static constexpr int kCopyRegisters = 24, kMultiplyRegisters = 240;
};

template <int kHeadDim>
struct DenseShared {
  TileRing<kHeadDim, DenseConfig::kStages> keys, values;
};

// The groups' turns at the matrix unit: begin waits until the other group has started its products.
class Turns {
 public:
  __device__ Turns(int group, int count) : group_(group), left_(count) {
    if (group == 1) give();
  }
  __device__ void begin() { sync_named(DenseConfig::kFirstTurn + group_, kBothThreads); }
  // The last of the second group has nobody to follow.
  __device__ void end() {
    if (--left_ > 0 || group_ == 0) give();
  }

 private:
  static constexpr int kBothThreads = DenseConfig::kGroups * kGroupThreads;
  __device__ void give() { arrive_named(DenseConfig::kFirstTurn + 1 - group_, kBothThreads); }

  int group_, left_;
};

template <typename Elem, int kHeadDim>
__device__ void multiply_row_block(const DenseForward<Elem>& call, DenseShared<kHeadDim>& shared,
                                   int group, int warp, int lane) {
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const int block_idx = static_cast<int>(blockIdx.x) * DenseConfig::kGroups + group;
  // The last block may be alone: the other group then runs along with idle rows.
  const RowBlock block =
      block_idx < call.num_row_blocks ? call.row_blocks[block_idx] : RowBlock{0, 0};
  const int32_t* tokens = call.row_order + block.first + kWarpRows * warp;
  const int num_rows = block.count - kWarpRows * warp;

  WarpRows<Elem, kHeadDim> rows;
  rows.clear();
  const Elem* q = call.q.head(head);
  const Elem* own[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = lane / 4 + 8 * r;
    own[r] = row < num_rows ? q + tokens[row] * call.q.stride_row : nullptr;
  }
  load_query_rows(rows.query, own, lane);

  const int32_t num_blocks = call.num_key_blocks;
  Turns turns(group, num_blocks);
  float s[kOctets][4], factor[2];
  Probabilities p;
  const auto soften = [&](uint64_t valid) {
    if (valid != kAllValid) rows.mask(valid, lane, s);
    rows.exponentiate(s, call.scale_log2, factor, [](int, float, float) {});
  };

  uint64_t valid = call.valid[0];
  uint32_t keys = shared.keys.wait(0);
  turns.begin();
  begin_products(s, rows.query);
  start_scores<Elem>(s, rows.query, keys);
  turns.end();
  wait_for_products<0>(s, rows.query);
  if (lane == 0) shared.keys.release(0);
  soften(valid);
  pack_probabilities<Elem>(s, p);

  for (int32_t j = 1; j < num_blocks; ++j) {
    valid = call.valid[j];
    keys = shared.keys.wait(j);
    const uint32_t values = shared.values.wait(j - 1);
    turns.begin();
    begin_products(s, rows.query, p, rows.out);
    start_scores<Elem>(s, rows.query, keys);
    start_outputs<Elem>(rows.out, p, values);
    turns.end();
    wait_for_products<1>(s, rows.query);
    if (lane == 0) shared.keys.release(j);
    soften(valid);
    finish_outputs(rows, factor, p);
    if (lane == 0) shared.values.release(j - 1);
    pack_probabilities<Elem>(s, p);
  }

  const uint32_t values = shared.values.wait(num_blocks - 1);
  begin_products(p, rows.out);
  start_outputs<Elem>(rows.out, p, values);
  wait_for_products<0>(rows.out, p);
  write_rows(rows, call.out, head, tokens, num_rows, lane);
}

template <typename Elem, int kHeadDim>
__global__ void __launch_bounds__(DenseConfig::kThreads, 1)
    dense_forward_kernel(const __grid_constant__ DenseForward<Elem> call,
                         const __grid_constant__ CUtensorMap keys_map,
                         const __grid_constant__ CUtensorMap values_map) {
  auto& shared = *reinterpret_cast<DenseShared<kHeadDim>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // By shuffle, so that the compiler knows it to be the same in the whole warp.
  const int warp = __shfl_sync(0xffffffffu, thread / 32, 0);
  if (thread == 0) {
    prefetch_map(keys_map);
    prefetch_map(values_map);
    shared.keys.init(DenseConfig::kReaders);
    shared.values.init(DenseConfig::kReaders);
    fence_barrier_init();
  }
  __syncthreads();
  if (warp < DenseConfig::kReaders) {
    take_registers<DenseConfig::kMultiplyRegisters>();
    multiply_row_block<Elem, kHeadDim>(call, shared, warp / kGroupWarps, warp % kGroupWarps, lane);
  } else {
    give_registers<DenseConfig::kCopyRegisters>();
    if (thread != DenseConfig::kGroups * kGroupThreads) return;
    const int head = static_cast<int>(blockIdx.y);
    for (int32_t j = 0; j < call.num_key_blocks; ++j) {
      shared.keys.fill(j, keys_map, j * kKeys, head);
      shared.values.fill(j, values_map, j * kKeys, head);
    }
  }
}

template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream) {
  constexpr int kGroups = DenseConfig::kGroups;
  const auto map = [&call](const HeadRows<Elem>& rows) {
    return map_rows(rows.data, call.num_heads, int64_t{call.num_key_blocks} * kKeys, kHeadDim,
                    rows.stride_head, rows.stride_row);
  };
  launch(dense_forward_kernel<Elem, kHeadDim>,
         {.grid = dim3((call.num_row_blocks + kGroups - 1) / kGroups, call.num_heads),
          .block = dim3(DenseConfig::kThreads),
          .shared_bytes = sizeof(DenseShared<kHeadDim>)},
         stream, call, map(call.k), map(call.v));
}

}  // namespace sparsescope::cuda::sm90
