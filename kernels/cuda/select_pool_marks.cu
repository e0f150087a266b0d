// The last passes over the gates: what lies above the cuts of the pools, and of what is equal to
// them the first entries by block, head and query.
#include "arch/launch.h"
#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_pools.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// What lies above a pool's cut, as a comparison of floats.
struct Cut {
  float bound;
  bool all;      // no number, too
  uint32_t key;  // of entries that are ranked
  bool has_ties;

  __device__ explicit Cut(const PoolState& state)
      : all(state.prefix < key_of(-INFINITY)), key(state.prefix), has_ties(state.ties > 0) {
    // The key before that of zero is nobody's: -0 counts as 0.
    constexpr uint32_t kBeforeZero = 0x7fffffffu;
    bound = score_of(state.prefix == kBeforeZero ? kBeforeZero - 1 : state.prefix);
  }
  __device__ bool keeps(float gate) const { return all || gate > bound; }
};

// A warp a row.
template <bool kByBlock>
__global__ void __launch_bounds__(kThreads)
    mark_kernel(const __grid_constant__ Pools pools, const GateWave wave, int64_t stride,
                int32_t words) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto row = static_cast<int32_t>(blockIdx.x * kWarps + threadIdx.x / 32);
  const int32_t plane = wave.first_plane + static_cast<int32_t>(blockIdx.y);
  if (row >= wave.num_rows) return;
  const int32_t position = wave.first_row + row, own = pools.own[position];
  const float* gates = wave.gates + (int64_t{blockIdx.y} * wave.num_rows + row) * stride;
  uint32_t* mask = pools.mask + (int64_t{plane} * pools.video_tokens + position) * words;
  Cut cut(pools.states[pool_of(pools, plane, 0)]);
#pragma unroll 4
  for (int32_t i = 0; i < words; ++i) {
    const int32_t column = 32 * i + lane;
    bool keep = column == own;
    if (column < pools.num_tiles && !keep) {
      if constexpr (kByBlock) cut = Cut(pools.states[pool_of(pools, plane, column)]);
      const float gate = gates[column];
      keep = cut.keeps(gate);
      if (cut.has_ties && key_of(gate) == cut.key) {
        atomicAdd(&pools.ties[int64_t{plane} * pools.num_tiles + column], 1);
      }
    }
    const uint32_t bits = __ballot_sync(kAllLanes, keep);
    if (lane == 0) mask[i] = bits;
  }
}

// A warp a pool: from the ties of each of its blocks and heads to how many of them are kept.
__global__ void share_ties_kernel(const __grid_constant__ Pools pools) {
  const int lane = static_cast<int>(threadIdx.x);
  const auto pool = static_cast<int32_t>(blockIdx.x);
  const PoolSpan span = pools.rule.span;
  int32_t planes = span == PoolSpan::kPlane ? 1 : pools.heads, first_plane = pool * planes;
  int32_t first_column = 0, columns = pools.num_tiles;
  if (span == PoolSpan::kBlock) {
    first_plane = pool / pools.num_tiles * planes;
    first_column = pool % pools.num_tiles;
    columns = 1;
  }
  int64_t left = pools.states[pool].ties;
  if (left == 0) return;
  for (int32_t first = 0; first < columns * planes; first += 32) {
    const int32_t entry = first + lane;
    const bool present = entry < columns * planes;
    int32_t* ties = present ? &pools.ties[int64_t{first_plane + entry % planes} * pools.num_tiles +
                                          first_column + entry / planes]
                            : nullptr;
    const int64_t count = present ? *ties : 0;
    int64_t sum = count;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
      const int64_t before = __shfl_up_sync(kAllLanes, sum, offset);
      if (lane >= offset) sum += before;
    }
    const int64_t mine = left - (sum - count);
    if (present) *ties = static_cast<int32_t>(mine < 0 ? 0 : min(mine, count));
    left -= __shfl_sync(kAllLanes, sum, 31);
  }
}

// A thread block a block of a plane: the first of its queries at the cut.
__global__ void __launch_bounds__(kThreads)
    ties_kernel(const __grid_constant__ Pools pools, const GateWave wave, int64_t stride,
                int32_t words) {
  __shared__ uint32_t of_warp[kWarps];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const auto column = static_cast<int32_t>(blockIdx.x);
  const int32_t plane = wave.first_plane + static_cast<int32_t>(blockIdx.y);
  int32_t* wanted = &pools.ties[int64_t{plane} * pools.num_tiles + column];
  int32_t left = *wanted;
  if (left == 0) return;
  const uint32_t cut = pools.states[pool_of(pools, plane, column)].prefix;
  const float* gates = wave.gates + int64_t{blockIdx.y} * wave.num_rows * stride + column;
  uint32_t* mask =
      pools.mask + (int64_t{plane} * pools.video_tokens + wave.first_row) * words + column / 32;
  for (int32_t first = 0; first < wave.num_rows && left > 0; first += kThreads) {
    const int32_t row = first + thread;
    const bool equal = row < wave.num_rows && pools.own[wave.first_row + row] != column &&
                       key_of(gates[row * stride]) == cut;
    const uint32_t bits = __ballot_sync(kAllLanes, equal);
    if (lane == 0) of_warp[warp] = bits;
    __syncthreads();
    int32_t before = 0, all = 0;
    for (int other = 0; other < kWarps; ++other) {
      const int32_t count = __popc(of_warp[other]);
      if (other < warp) before += count;
      all += count;
    }
    before += __popc(bits & ((1u << lane) - 1));
    if (equal && before < left) atomicOr(&mask[int64_t{row} * words], 1u << column % 32);
    left = max(0, left - all);
    __syncthreads();
  }
  if (thread == 0) *wanted = left;
}

}  // namespace

void mark_pass(const Pools& pools, const GateWave& wave) {
  const bool by_block = pools.rule.span == PoolSpan::kBlock;
  launch(by_block ? mark_kernel<true> : mark_kernel<false>,
         {.grid = dim3(static_cast<unsigned>((wave.num_rows + kWarps - 1) / kWarps),
                       static_cast<unsigned>(wave.num_planes)),
          .block = dim3(kThreads)},
         nullptr, pools, wave, score_stride(pools.num_tiles), mask_words(pools.num_tiles));
}

void share_ties(const Pools& pools) {
  launch(share_ties_kernel,
         {.grid = dim3(static_cast<unsigned>(pools.num_pools())), .block = dim3(32)}, nullptr,
         pools);
}

void ties_pass(const Pools& pools, const GateWave& wave) {
  launch(
      ties_kernel,
      {.grid = dim3(static_cast<unsigned>(pools.num_tiles), static_cast<unsigned>(wave.num_planes)),
       .block = dim3(kThreads)},
      nullptr, pools, wave, score_stride(pools.num_tiles), mask_words(pools.num_tiles));
}

}  // namespace sparsescope::cuda
