#include "arch/launch.h"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/gate_pools.h"
#include "kernels/cuda/gate_values.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;

__device__ float warp_min(float value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value = fminf(value, __shfl_xor_sync(~0u, value, offset));
  }
  return value;
}

// The smallest, and the negative of the largest, in every thread.
__device__ void block_extremes(float& lo, float& hi, float (*of_warp)[kThreads / 32]) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  lo = warp_min(lo);
  hi = -warp_min(-hi);
  if (threadIdx.x % 32 == 0) {
    of_warp[0][warp] = lo;
    of_warp[1][warp] = hi;
  }
  __syncthreads();
  for (int i = 0; i < kThreads / 32; ++i) {
    lo = fminf(lo, of_warp[0][i]);
    hi = fmaxf(hi, of_warp[1][i]);
  }
}

// grid: blocks, heads
__global__ void __launch_bounds__(kThreads)
    ranges_kernel(const __grid_constant__ GateRows rows, GateRange* ranges) {
  __shared__ float extremes[2][kThreads / 32];
  __shared__ double of_warp[2][kThreads / 32];
  const int block = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const GateBlock of = rows.blocks[block];
  const float* gates = gates_of(rows, head, block);
  const float* own =
      rows.own + (int64_t{head} * rows.num_partitions + of.partition) * rows.num_rows;
  float lo = INFINITY, hi = -INFINITY;
  double own_sum = 0.0, own_count = 0.0;
  for (int row = static_cast<int>(threadIdx.x); row < rows.num_rows; row += kThreads) {
    float gate = gates[row];
    if (gate == INFINITY) {
      gate = own[row];
      own_sum += gate;
      own_count += 1.0;
    }
    lo = fminf(lo, gate);
    hi = fmaxf(hi, gate);
  }
  block_extremes(lo, hi, extremes);
  own_sum = block_sum<kThreads>(own_sum, of_warp[0]);
  own_count = block_sum<kThreads>(own_count, of_warp[1]);
  if (threadIdx.x == 0) {
    ranges[int64_t{rows.first_head + head} * rows.num_blocks + block] = {
        lo, hi, static_cast<int32_t>(own_count), own_sum};
  }
}

// grid: pools of one partition (its heads, its blocks, itself), partitions
__global__ void __launch_bounds__(kThreads)
    pools_kernel(const __grid_constant__ GateRows rows, const GateRange* ranges, GatePool* pools) {
  __shared__ float extremes[2][kThreads / 32];
  __shared__ double of_warp[2][kThreads / 32];
  const int H = rows.total_heads;
  const auto partition = static_cast<int32_t>(blockIdx.y), pool = static_cast<int32_t>(blockIdx.x);
  const GateBlock of = rows.blocks[rows.partition_first[partition]];
  if (pool > H + of.num_blocks) return;
  const bool one_head = pool < H, one_block = !one_head && pool < H + of.num_blocks;
  const int heads = one_head ? 1 : H, blocks = one_block ? 1 : of.num_blocks;
  const int first_head = one_head ? pool : 0;
  const int first_block = of.first_block + (one_block ? pool - H : 0);
  float lo = INFINITY, hi = -INFINITY;
  double own_sum = 0.0, own_count = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < heads * blocks; i += kThreads) {
    const GateRange range =
        ranges[int64_t{first_head + i / blocks} * rows.num_blocks + first_block + i % blocks];
    lo = fminf(lo, range.lo);
    hi = fmaxf(hi, range.hi);
    own_sum += range.own_sum;
    own_count += range.own_count;
  }
  block_extremes(lo, hi, extremes);
  own_sum = block_sum<kThreads>(own_sum, of_warp[0]);
  own_count = block_sum<kThreads>(own_count, of_warp[1]);
  if (threadIdx.x != 0) return;
  const double width = double{hi} - lo <= 1e-6 ? 1.0 : double{hi} - lo;
  GatePool& to = pools[first_pool(partition, of.first_block, H) + pool];
  to.lo = lo;
  to.scale = kGateSteps / width;
  to.own = (own_sum - own_count * lo) * (2.0 * kGateSteps / width);
}

}  // namespace

void find_gate_ranges(const GateRows& rows, GateRange* ranges, cudaStream_t stream) {
  launch(ranges_kernel, {.grid = dim3(rows.num_blocks, rows.num_heads), .block = dim3(kThreads)},
         stream, rows, ranges);
}

void make_gate_pools(const GateRows& rows, const GateRange* ranges, GatePool* pools,
                     cudaStream_t stream) {
  launch(pools_kernel,
         {.grid = dim3(rows.total_heads + rows.most_blocks + 1, rows.num_partitions),
          .block = dim3(kThreads)},
         stream, rows, ranges, pools);
}

}  // namespace sparsescope::cuda
