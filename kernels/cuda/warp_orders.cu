#include <bit>

#include "arch/launch.h"
#include "kernels/cuda/bitonic_sort.cuh"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/tile_orders.cuh"
#include "kernels/cuda/warp_orders.h"
#include "kernels/cuda/warp_sort.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
static_assert(2 * kMaxFractions <= 32);

// Masses descending, those behind the last one negative until they are no longer needed in order.
template <int R>
__device__ void sort_masses(const float* masses, int num_tiles, int lane, float (&sorted)[R]) {
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int j = 32 * i + lane;
    sorted[i] = j < num_tiles ? masses[j] : -1.0f;
  }
  sort_in_warp(sorted, lane);
#pragma unroll
  for (int i = 0; i < R; ++i) {
    if (R * lane + i >= num_tiles) sorted[i] = 0.0f;
  }
}

// grid: rows, kWarps at a time. A warp has a row of masses.
template <int R>
__global__ void __launch_bounds__(kThreads)
    row_orders_kernel(const float* masses, int64_t num_rows, int num_tiles,
                      const Fractions fractions, double* values) {
  __shared__ float by_rank[kWarps][32 * (R + 1)];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp;
  if (row >= num_rows) return;
  float sorted[R];
  sort_masses(masses + row * num_tiles, num_tiles, lane, sorted);
  const int count = lane < fractions.count ? fractions.kept[lane] : 0;
  const double sum = sum_first(sorted, count, by_rank[warp], lane);
  if (lane < fractions.count) values[row * fractions.count + lane] = sum;
}

// Of the scores by rank; equal in all lanes.
template <typename ScoreAt>
__device__ Moments moments_of(int num_tiles, int lane, const ScoreAt& score_at) {
  Moments moments;
  double sum = 0.0;
  for (int rank = lane; rank < num_tiles; rank += 32) sum += score_at(rank);
  moments.mean = warp_sum(sum) / num_tiles;
  for (int rank = lane; rank < num_tiles; rank += 32) moments.add(score_at(rank));
  moments.m2 = warp_sum(moments.m2) / num_tiles;
  moments.m3 = warp_sum(moments.m3) / num_tiles;
  moments.m4 = warp_sum(moments.m4) / num_tiles;
  return moments;
}

// grid: query tiles of all heads, kWarps at a time. A warp has a tile. Lanes sum for a fraction
// each, those from kMaxFractions on for what BSA keeps.
template <int R>
__global__ void __launch_bounds__(kThreads)
    tile_orders_kernel(const __grid_constant__ TileOrders call, double* values) {
  __shared__ float by_rank_of[kWarps][32 * (R + 1)];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int N = call.num_tiles, F = call.fractions.count;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp;
  if (row >= int64_t{call.num_heads} * N) return;
  const float* masses = call.map + row * N;
  const float* scores = call.scores + row * N;
  float* by_rank = by_rank_of[warp];
  const double weight = call.sizes[row % N];
  double* out = values + row * (4 * F + 4);
  const bool is_cut = lane >= kMaxFractions;
  const int fraction = is_cut ? lane - kMaxFractions : lane;
  const bool has_fraction = fraction < F;
  const int of_fraction = has_fraction ? call.fractions.kept[fraction] : 0;

  float of_rank[R];
  sort_masses(masses, N, lane, of_rank);
  const double best = sum_first(of_rank, of_fraction, by_rank, lane);
  if (has_fraction && !is_cut) out[fraction] = weight * best;

  uint64_t keys[R];
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int j = 32 * i + lane;
    keys[i] = j < N ? rank_key(scores[j], j) : ~uint64_t{0};
  }
  sort_in_warp(keys, lane);
  __syncwarp();
#pragma unroll
  for (int i = 0; i < R; ++i) by_rank[lane * (R + 1) + i] = value_of_key(keys[i]);
  __syncwarp();
  const auto score_at = [&](int rank) { return by_rank[place_of_rank<R>(rank)]; };
  const Moments moments = moments_of(N, lane, score_at);
  const bool equal = score_at(0) == score_at(N - 1);
  const int kept =
      has_fraction ? count_kept(N, moments, call.fractions.cuts[fraction], score_at) : 0;
  if (lane == 0) moments.write(equal, out + 4 * F);

#pragma unroll
  for (int i = 0; i < R; ++i) of_rank[i] = R * lane + i < N ? masses[number_of_key(keys[i])] : 0.0f;
  const double mass = sum_first(of_rank, is_cut ? kept : of_fraction, by_rank, lane);
  if (has_fraction) out[(is_cut ? 3 : 1) * F + fraction] = weight * mass;
#pragma unroll
  for (int i = 0; i < R; ++i)
    of_rank[i] = R * lane + i < N ? call.sizes[number_of_key(keys[i])] : 0.0f;
  const double tokens = sum_first(of_rank, kept, by_rank, lane);
  if (has_fraction && is_cut) out[2 * F + fraction] = weight * tokens / call.tokens;
}

unsigned blocks_of(int64_t rows) { return static_cast<unsigned>((rows + kWarps - 1) / kWarps); }

// use is called with the keys of a lane, a power of two.
template <typename Use>
void with_lane_keys(int32_t num_tiles, const Use& use) {
  const auto keys = (std::bit_ceil(static_cast<uint32_t>(num_tiles)) + 31) / 32;
  if (keys <= 4) return use.template operator()<4>();
  if (keys == 8) return use.template operator()<8>();
  if (keys == 16) return use.template operator()<16>();
  if (keys == 32) return use.template operator()<32>();
  use.template operator()<64>();
}

}  // namespace

void reduce_tile_orders_in_warps(const TileOrders& call, double* values, cudaStream_t stream) {
  const int64_t rows = int64_t{call.num_heads} * call.num_tiles;
  with_lane_keys(call.num_tiles, [&]<int R>() {
    launch(tile_orders_kernel<R>, {.grid = dim3(blocks_of(rows)), .block = dim3(kThreads)}, stream,
           call, values);
  });
}

void reduce_row_orders_in_warps(const float* masses, int64_t num_rows, int32_t num_tiles,
                                const Fractions& fractions, double* values, cudaStream_t stream) {
  with_lane_keys(num_tiles, [&]<int R>() {
    launch(row_orders_kernel<R>, {.grid = dim3(blocks_of(num_rows)), .block = dim3(kThreads)},
           stream, masses, num_rows, num_tiles, fractions, values);
  });
}

}  // namespace sparsescope::cuda
