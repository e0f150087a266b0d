#include <bit>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/bitonic_sort.cuh"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/reduce_orders.h"
#include "kernels/cuda/tile_orders.cuh"
#include "kernels/cuda/warp_orders.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;

// sums[i] = sum of value_at(r) over r < counts[i]; counts ascend. sums is shared; barriers at both
// ends.
template <typename ValueAt>
__device__ void prefix_totals(const int32_t* counts, int num_counts, double* sums,
                              const ValueAt& value_at) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  __syncthreads();
  for (int i = warp; i < num_counts; i += kThreads / 32) {
    double sum = 0.0;
    for (int r = (i > 0 ? counts[i - 1] : 0) + lane; r < counts[i]; r += 32) sum += value_at(r);
    sum = warp_sum(sum);
    if (lane == 0) sums[i] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < num_counts; ++i) sums[i] += sums[i - 1];
  }
  __syncthreads();
}

// Masses descending: keys [size] hold them as inverted bits.
__device__ void sort_masses(const float* masses, int num_tiles, int size, uint32_t* keys) {
  __syncthreads();
  for (int j = static_cast<int>(threadIdx.x); j < size; j += kThreads) {
    keys[j] = j < num_tiles ? ~ordered_bits(masses[j]) : ~0u;
  }
  sort_keys<kThreads>(keys, size);
}
__device__ float mass_of(uint32_t key) { return float_of_ordered(~key); }

// Scores descending, equal ones by tile: the score in the upper half, the tile in the lower one.
__device__ void sort_scores(const float* scores, int num_tiles, int size, uint64_t* keys) {
  __syncthreads();
  for (int j = static_cast<int>(threadIdx.x); j < size; j += kThreads) {
    keys[j] = j < num_tiles ? rank_key(scores[j], j) : ~uint64_t{0};
  }
  sort_keys<kThreads>(keys, size);
}
__device__ Moments moments_of(const float* scores, int num_tiles,
                              double (*of_warp)[kThreads / 32]) {
  Moments moments;
  double sum = 0.0;
  for (int j = static_cast<int>(threadIdx.x); j < num_tiles; j += kThreads) sum += scores[j];
  moments.mean = block_sum<kThreads>(sum, of_warp[0]) / num_tiles;
  for (int j = static_cast<int>(threadIdx.x); j < num_tiles; j += kThreads) moments.add(scores[j]);
  moments.m2 = block_sum<kThreads>(moments.m2, of_warp[1]) / num_tiles;
  moments.m3 = block_sum<kThreads>(moments.m3, of_warp[2]) / num_tiles;
  moments.m4 = block_sum<kThreads>(moments.m4, of_warp[3]) / num_tiles;
  return moments;
}

// grid: blocks that take the rows of all heads in turn.
__global__ void __launch_bounds__(kThreads, 1024 / kThreads)
    tile_orders_kernel(const __grid_constant__ TileOrders call, int size, double* values) {
  __shared__ double of_warp[4][kThreads / 32];
  __shared__ double sums[kMaxFractions];
  __shared__ int32_t kept[kMaxFractions];
  const int thread = static_cast<int>(threadIdx.x), N = call.num_tiles;
  const int F = call.fractions.count, width = 4 * F + 4;
  uint64_t* keys = call.scratch.keys == nullptr ? reinterpret_cast<uint64_t*>(dynamic_shared())
                                                : call.scratch.keys + int64_t{blockIdx.x} * size;

  for (int64_t row = blockIdx.x; row < int64_t{call.num_heads} * N; row += gridDim.x) {
    const float* masses = call.map + row * N;
    const float* scores = call.scores + row * N;
    const double weight = call.sizes[row % N];
    double* out = values + row * width;

    auto* mass_keys = reinterpret_cast<uint32_t*>(keys);
    sort_masses(masses, N, size, mass_keys);
    prefix_totals(call.fractions.kept, F, sums, [&](int r) { return mass_of(mass_keys[r]); });
    if (thread < F) out[thread] = weight * sums[thread];

    sort_scores(scores, N, size, keys);
    const auto mass_at = [&](int r) { return masses[number_of_key(keys[r])]; };
    prefix_totals(call.fractions.kept, F, sums, mass_at);
    if (thread < F) out[F + thread] = weight * sums[thread];

    const Moments moments = moments_of(scores, N, of_warp);
    const auto score_at = [&](int r) { return value_of_key(keys[r]); };
    if (thread < F) kept[thread] = count_kept(N, moments, call.fractions.cuts[thread], score_at);
    prefix_totals(kept, F, sums, [&](int r) { return call.sizes[number_of_key(keys[r])]; });
    if (thread < F) out[2 * F + thread] = weight * sums[thread] / call.tokens;
    prefix_totals(kept, F, sums, mass_at);
    if (thread < F) out[3 * F + thread] = weight * sums[thread];

    if (thread == 0) moments.write(score_at(0) == score_at(N - 1), out + 4 * F);
  }
}

// grid: blocks that take the rows in turn.
__global__ void __launch_bounds__(kThreads)
    row_orders_kernel(const float* masses, int64_t num_rows, int num_tiles, int size,
                      const Fractions fractions, uint64_t* scratch, double* values) {
  __shared__ double sums[kMaxFractions];
  auto* keys =
      reinterpret_cast<uint32_t*>(scratch == nullptr ? reinterpret_cast<uint64_t*>(dynamic_shared())
                                                     : scratch + int64_t{blockIdx.x} * size);
  for (int64_t row = blockIdx.x; row < num_rows; row += gridDim.x) {
    sort_masses(masses + row * num_tiles, num_tiles, size, keys);
    prefix_totals(fractions.kept, fractions.count, sums, [&](int r) { return mass_of(keys[r]); });
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < fractions.count) values[row * fractions.count + thread] = sums[thread];
  }
}

bool sorts_in_warps(int32_t num_tiles, const OrderScratch& scratch) {
  return num_tiles <= kMaxWarpSort && scratch.keys == nullptr;
}

unsigned blocks_for(const OrderScratch& scratch, int64_t rows) {
  constexpr int64_t kMost = 1 << 20;
  return static_cast<unsigned>(
      std::min<int64_t>(rows, scratch.keys == nullptr ? kMost : scratch.blocks));
}

}  // namespace

int32_t sorted_size(int32_t tiles) {
  return static_cast<int32_t>(std::bit_ceil(static_cast<uint32_t>(tiles)));
}

void reduce_tile_orders(const TileOrders& call, double* values, cudaStream_t stream) {
  if (sorts_in_warps(call.num_tiles, call.scratch)) {
    reduce_tile_orders_in_warps(call, values, stream);
    return;
  }
  const int32_t size = sorted_size(call.num_tiles);
  launch(tile_orders_kernel,
         {.grid = dim3(blocks_for(call.scratch, int64_t{call.num_heads} * call.num_tiles)),
          .block = dim3(kThreads),
          .shared_bytes = call.scratch.keys == nullptr ? sizeof(uint64_t) * size : 0},
         stream, call, size, values);
}

void reduce_row_orders(const float* masses, int64_t num_rows, int32_t num_tiles,
                       const Fractions& fractions, const OrderScratch& scratch, double* values,
                       cudaStream_t stream) {
  if (sorts_in_warps(num_tiles, scratch)) {
    reduce_row_orders_in_warps(masses, num_rows, num_tiles, fractions, values, stream);
    return;
  }
  const int32_t size = sorted_size(num_tiles);
  launch(row_orders_kernel,
         {.grid = dim3(blocks_for(scratch, num_rows)),
          .block = dim3(kThreads),
          .shared_bytes = scratch.keys == nullptr ? sizeof(uint32_t) * size : 0},
         stream, masses, num_rows, num_tiles, size, fractions, scratch.keys, values);
}

}  // namespace sparsescope::cuda
