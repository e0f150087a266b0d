// What is decided for each pool between the passes over the gates: what it searches for, then a
// digit of its cut after the other.
#include "arch/launch.h"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/select_gates.cuh"
#include "kernels/cuda/select_pools.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;

__device__ GateSteps steps_of(const PoolState& state) {
  GateSteps steps;
  steps.lo = state.lo;
  steps.scale = state.scale;
  steps.unit = state.unit;
  return steps;
}

__global__ void __launch_bounds__(kThreads)
    start_kernel(const __grid_constant__ Pools pools, int64_t num_pools) {
  const int64_t first = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = first; i < num_pools * kPoolPlaces; i += step) {
    pools.weights[i] = pools.counts[i] = 0;
  }
  for (int64_t i = first; i < int64_t{pools.num_planes} * pools.num_tiles; i += step) {
    pools.ties[i] = 0;
  }
  for (int64_t i = first; i < num_pools; i += step) {
    PoolState state{};
    state.least = 0xffffffffu;
    pools.states[i] = state;
  }
}

__global__ void steps_kernel(PoolState* states, const KeyExtents* extents, int32_t num_pools) {
  const auto i = static_cast<int32_t>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= num_pools) return;
  if (extents != nullptr) {
    states[i].least = ~extents[i].inverted_least;
    states[i].largest = extents[i].largest;
  }
  const GateSteps steps(score_of(states[i].least), score_of(states[i].largest));
  states[i].lo = steps.lo;
  states[i].scale = steps.scale;
  states[i].unit = steps.unit;
}

// The pool's first decision: what it searches for, or that it keeps all or nothing.
__device__ inline void begin_search(const Pools& pools, PoolState& state, int64_t weight,
                                    int64_t count) {
  const PoolRule& rule = pools.rule;
  const auto keep = [&](uint32_t key) {
    state.search = kDone;
    state.prefix = key;
    state.ties = 0;
  };
  constexpr uint32_t kNothing = 0xffffffffu;
  state.search = kByCount;
  if (rule.top_k > 0) {
    const int64_t queries =
        int64_t{pools.video_tokens} * (rule.span == PoolSpan::kSample ? pools.heads : 1);
    state.target = (rule.top_k - 1) * queries;
  } else {
    state.target = steps_of(state).target(rule.threshold, state.own, state.own + weight);
    if (state.target == 0) {
      state.target = 1;
    } else if (state.target <= weight) {
      state.search = kByWeight;
    } else {
      return keep(kNoEntry);
    }
  }
  if (state.target == 0 || count == 0) return keep(kNothing);
  if (state.search == kByCount && state.target >= count) keep(kNoEntry);
}

// The last entry's key is known; the entries equal to it, together equals, have to reach target.
__device__ inline void end_search(PoolState& state, int64_t target, int64_t equals) {
  int64_t weight = 1;
  if (state.search == kByWeight) {
    weight = max(weight, steps_of(state).weight(score_of(state.prefix)));
  }
  state.ties = (target + weight - 1) / weight;
  if (state.ties * weight < equals) return;
  // All of them are kept, as mostly there is one: nobody has to rank them.
  --state.prefix;
  state.ties = 0;
}

// A thread block a pool.
__global__ void __launch_bounds__(kThreads)
    advance_kernel(const __grid_constant__ Pools pools, const Digit digit) {
  constexpr int kPlaces = kPoolPlaces / kThreads;
  __shared__ PoolState state;
  const int thread = static_cast<int>(threadIdx.x);
  int64_t* weights = pools.weights + int64_t{blockIdx.x} * kPoolPlaces;
  int64_t* counts = pools.counts + int64_t{blockIdx.x} * kPoolPlaces;
  // Thread 0 holds the largest places, each thread its largest first.
  const int first = kPoolPlaces - 1 - thread * kPlaces;
  int64_t weight[kPlaces], count[kPlaces], weight_sum = 0, count_sum = 0;
#pragma unroll
  for (int i = 0; i < kPlaces; ++i) {
    weight[i] = weights[first - i];
    count[i] = counts[first - i];
    weight_sum += weight[i];
    count_sum += count[i];
    weights[first - i] = counts[first - i] = 0;
  }
  int64_t total_weight, total_count;
  const int64_t weight_before = block_exclusive_sum<kThreads>(weight_sum, total_weight);
  const int64_t count_before = block_exclusive_sum<kThreads>(count_sum, total_count);
  if (thread == 0) {
    state = pools.states[blockIdx.x];
    if (digit.first) begin_search(pools, state, total_weight, total_count);
  }
  __syncthreads();
  const bool by_weight = state.search == kByWeight, done = state.search == kDone;
  const int64_t target = state.target - (by_weight ? weight_before : count_before);
  const int64_t mine = by_weight ? weight_sum : count_sum;
  __syncthreads();
  if (!done && target > 0 && target <= mine) {
    int64_t left = target, of_place = 0;
    int place = first;
    bool found = false;
#pragma unroll
    for (int i = 0; i < kPlaces; ++i) {
      const int64_t value = by_weight ? weight[i] : count[i];
      if (found) continue;
      found = value >= left;
      place = first - i;
      of_place = value;
      if (!found) left -= value;
    }
    state.prefix = state.prefix << digit.bits | static_cast<uint32_t>(place);
    state.target = left;
    if (digit.shift == 0) end_search(state, left, of_place);
  }
  __syncthreads();
  if (thread == 0) pools.states[blockIdx.x] = state;
}

unsigned blocks(int64_t count, int64_t size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

}  // namespace

void start_pools(const Pools& pools) {
  constexpr int64_t kPerThread = 4;
  const int64_t num_pools = pools.num_pools();
  launch(start_kernel,
         {.grid = dim3(blocks(num_pools * kPoolPlaces, kPerThread * kThreads)),
          .block = dim3(kThreads)},
         nullptr, pools, num_pools);
}

void measure_pools(const Pools& pools) {
  launch(steps_kernel, {.grid = dim3(blocks(pools.num_pools(), kThreads)), .block = dim3(kThreads)},
         nullptr, pools.states, pools.extents, pools.num_pools());
}

void advance_pools(const Pools& pools, int32_t digit) {
  launch(advance_kernel,
         {.grid = dim3(static_cast<unsigned>(pools.num_pools())), .block = dim3(kThreads)}, nullptr,
         pools, digit_of(digit));
}

}  // namespace sparsescope::cuda
