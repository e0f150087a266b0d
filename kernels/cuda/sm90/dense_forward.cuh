// The sm90 body of dense attention. A thread block takes two row blocks through all keys, 64 at a
// time: two warp groups multiply, one row block each, and a third one drives the copy engine.
//
// Within a group, the softmax of a key block runs beside the product of the values of the one
// before, and so do its masses (row_masses.cuh). Between the groups, one starts its products while
// the other is at its softmax: they take turns at the matrix unit. The copying group, of which one
// thread works, gives them its registers.
#pragma once

#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/registers.cuh"
#include "kernels/cuda/mass_output.cuh"
#include "kernels/cuda/row_output.cuh"
#include "kernels/cuda/sm90/dense_forward.h"
#include "kernels/cuda/sm90/multiply_tiles.cuh"
#include "kernels/cuda/sm90/tensor_map.h"

namespace sparsescope::cuda::sm90 {

struct DenseConfig {
  static constexpr int kGroups = kDenseGroups;
  static constexpr int kThreads = (kGroups + 1) * kGroupThreads;
  static constexpr int kFirstTurn = 1;  // named barriers, one a group
  // Of 168 that each of the 384 threads starts with.
  static constexpr int kCopyRegisters = 24, kMultiplyRegisters = 240;
};

// The bins of masses follow, those of one row block after those of the other.
template <int kHeadDim, bool kWithMasses>
struct DenseShared {
  TileRing<kHeadDim, dense_stages(kWithMasses)> keys, values;
};

// Two groups' turns at the matrix unit: begin waits until the other group has started its products.
class Turns {
 public:
  __device__ Turns(int group, int num_groups, int count)
      : group_(group), alone_(num_groups == 1), left_(count) {
    if (group == 1) give();
  }
  __device__ void begin() {
    if (!alone_) sync_named(DenseConfig::kFirstTurn + group_, kBothThreads);
  }
  // The last of the second group has nobody to follow.
  __device__ void end() {
    if (!alone_ && (--left_ > 0 || group_ == 0)) give();
  }

 private:
  static constexpr int kBothThreads = DenseConfig::kGroups * kGroupThreads;
  __device__ void give() { arrive_named(DenseConfig::kFirstTurn + 1 - group_, kBothThreads); }

  int group_;
  bool alone_;
  int left_;
};

// The way of a row block through all keys, for multiply_tiles.
template <typename Elem, int kHeadDim, typename Masses>
struct DenseWalk {
  const DenseForward<Elem>& call;
  WarpRows<Elem, kHeadDim>& rows;
  Masses& masses;
  Turns turns;
  int lane;
  int32_t key_block = 0;
  uint64_t valid = 0;

  __device__ void look_up(int tile) {
    key_block = tile;
    valid = call.valid[tile];
    masses.begin(tile);
  }
  __device__ bool is_last() const { return key_block == call.num_key_blocks - 1; }
  __device__ void begin_turn() { turns.begin(); }
  __device__ void end_turn() { turns.end(); }
  __device__ void soften(float (&s)[kOctets][4], float (&factor)[2]) {
    if (valid != kAllValid) rows.mask(valid, lane, s);
    const RowSoftmax before[2] = {rows.softmax[0], rows.softmax[1]};
    rows.exponentiate(s, call.scale_log2, factor, [&](int r, float probability, float exponent) {
      masses.observe(r, probability, exponent);
    });
    masses.after_softmax(s, before, rows.softmax, factor);
    masses.add_block(s);
  }
};

template <typename Elem, int kHeadDim, bool kWithMasses>
__device__ void multiply_row_block(const DenseForward<Elem>& call,
                                   DenseShared<kHeadDim, kWithMasses>& shared, int group,
                                   int num_groups, int warp, int lane) {
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const int block_idx = static_cast<int>(blockIdx.x) * DenseConfig::kGroups + group;
  const RowBlock block = call.row_blocks[block_idx];
  const int first_row = kWarpRows * warp, num_rows = block.count - first_row;
  const int32_t* tokens = call.row_order + block.first + first_row;

  WarpRows<Elem, kHeadDim> rows;
  rows.clear();
  load_query_rows(rows.query, call.q.head(head), call.q.stride_row, tokens, num_rows, lane);

  const int64_t item = int64_t{blockIdx.y} * call.num_row_blocks + block_idx;
  auto masses = [&] {
    if constexpr (kWithMasses) {
      auto* bins = reinterpret_cast<float*>(&shared + 1);
      return RowMasses(masses_of_block(call.masses, item),
                       bins + group * (call.masses.num_bins + kSpareBins) * kBinPitch, first_row,
                       num_rows, lane);
    } else {
      return NoMasses{};
    }
  }();
  DenseWalk<Elem, kHeadDim, decltype(masses)> walk{
      call, rows, masses, Turns(group, num_groups, call.num_key_blocks), lane};
  multiply_tiles(rows, shared.keys, shared.values, 0, lane, walk);
  write_rows(rows, call.out, head, tokens, num_rows, lane);
  if constexpr (kWithMasses) {
    write_masses(masses, rows, call.masses, item, first_row, num_rows, lane);
  }
}

// grid: pairs of row blocks, heads
template <typename Elem, int kHeadDim, bool kWithMasses>
__global__ void __launch_bounds__(DenseConfig::kThreads, 1)
    dense_forward_kernel(const __grid_constant__ DenseForward<Elem> call,
                         const __grid_constant__ CUtensorMap keys_map,
                         const __grid_constant__ CUtensorMap values_map) {
  auto& shared = *reinterpret_cast<DenseShared<kHeadDim, kWithMasses>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // By shuffle, so that the compiler knows it to be the same in the whole warp.
  const int warp = __shfl_sync(0xffffffffu, thread / 32, 0), group = warp / kGroupWarps;
  // The last row block may be alone.
  const int num_groups =
      min(DenseConfig::kGroups,
          call.num_row_blocks - static_cast<int>(blockIdx.x) * DenseConfig::kGroups);
  if (thread == 0) {
    prefetch_map(keys_map);
    prefetch_map(values_map);
    shared.keys.init(num_groups * kGroupWarps);
    shared.values.init(num_groups * kGroupWarps);
    fence_barrier_init();
  }
  __syncthreads();
  if (group < DenseConfig::kGroups) {
    take_registers<DenseConfig::kMultiplyRegisters>();
    if (group >= num_groups) return;
    multiply_row_block<Elem, kHeadDim, kWithMasses>(call, shared, group, num_groups,
                                                    warp % kGroupWarps, lane);
  } else {
    give_registers<DenseConfig::kCopyRegisters>();
    if (thread != DenseConfig::kGroups * kGroupThreads) return;
    const int head = call.first_head - call.k.first_head + static_cast<int>(blockIdx.y);
    for (int32_t j = 0; j < call.num_key_blocks; ++j) {
      shared.keys.fill(j, keys_map, j * kKeys, head);
      shared.values.fill(j, values_map, j * kKeys, head);
    }
  }
}

template <typename Elem, int kHeadDim, bool kWithMasses>
void launch_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream) {
  constexpr int kGroups = DenseConfig::kGroups;
  static_assert(sizeof(DenseShared<kHeadDim, kWithMasses>) ==
                dense_tile_bytes(kHeadDim, kWithMasses));
  const auto map = [&call](const HeadRows<Elem>& rows) {
    const int32_t heads = call.first_head - rows.first_head + call.num_heads;
    const int64_t keys = int64_t{call.num_key_blocks} * kKeys;
    return map_rows(packed_tensor<kHeadDim>(rows, heads, keys), kKeys, true);
  };
  launch(dense_forward_kernel<Elem, kHeadDim, kWithMasses>,
         {.grid = dim3((call.num_row_blocks + kGroups - 1) / kGroups, call.num_heads),
          .block = dim3(DenseConfig::kThreads),
          .shared_bytes = static_cast<size_t>(
              dense_forward_shared_bytes(kHeadDim, kWithMasses ? call.masses.num_bins : 0))},
         stream, call, map(call.k), map(call.v));
}

template <typename Elem, int kHeadDim>
void run_dense_forward(const DenseForward<Elem>& call, cudaStream_t stream) {
  if (call.masses.blocks != nullptr) {
    launch_dense_forward<Elem, kHeadDim, true>(call, stream);
  } else {
    launch_dense_forward<Elem, kHeadDim, false>(call, stream);
  }
}

}  // namespace sparsescope::cuda::sm90
