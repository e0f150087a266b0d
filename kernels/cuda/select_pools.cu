// The search for the cuts of pools: extents, then a histogram of the gates by each digit of their
// keys, and a step down by it.
#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/select_gates.cuh"
#include "kernels/cuda/select_pools.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;
// Weights are added up in two halves of 15 bits, in 32-bit sums of at most so many entries.
constexpr int kHalfBits = 15;
constexpr int32_t kBlockEntries = 1 << 16;
// That a thread reads at once; of pools of one block, those that a thread block takes.
constexpr int kColumns = 4;

enum Search : int32_t { kByWeight, kByCount, kDone };

struct Digit {
  int shift, bits;
  bool first;

  __device__ bool holds(uint32_t key, uint32_t prefix) const {
    return first || key >> (shift + bits) == prefix;
  }
  __device__ uint32_t place(uint32_t key) const { return key >> shift & ((1u << bits) - 1); }
};
Digit digit_of(int32_t index) {
  static_assert(kPoolDigits == 3 && kPoolPlaces == 1 << 11);
  constexpr Digit kDigits[] = {{21, 11, true}, {10, 11, false}, {0, 10, false}};
  return kDigits[index];
}

__device__ inline GateSteps steps_of(const PoolState& state) {
  GateSteps steps;
  steps.lo = state.lo;
  steps.scale = state.scale;
  steps.unit = state.unit;
  return steps;
}

// What a thread block reads: rows of a plane, four columns a thread; all columns are of one pool,
// or with kByBlock only four are read, each of a pool of its own.
struct WaveShape {
  int32_t rows_per_block, row_blocks;
  int64_t stride;  // of a row of gates
};

template <bool kByBlock>
class BlockEntries {
 public:
  static constexpr int kPools = kByBlock ? kColumns : 1;

  __device__ BlockEntries(const Pools& pools, const GateWave& wave, const WaveShape& shape)
      : pools_(pools), wave_(wave), stride_(static_cast<int32_t>(shape.stride)) {
    const auto block = static_cast<int32_t>(blockIdx.x);
    first_row_ = block % shape.row_blocks * shape.rows_per_block;
    last_row_ = min(wave.num_rows, first_row_ + shape.rows_per_block);
    first_column_ = kByBlock ? block / shape.row_blocks * kColumns : 0;
    plane_ = wave.first_plane + static_cast<int32_t>(blockIdx.y);
  }

  // The block's pool at an index; null beyond the last column.
  __device__ PoolState* pool(int index) const {
    const int32_t column = first_column_ + index;
    return column < pools_.num_tiles ? &pools_.states[pool_idx(index)] : nullptr;
  }
  __device__ int32_t pool_idx(int index) const {
    return pool_of(pools_, plane_, first_column_ + index);
  }

  // use(pool index, gate, whether the entry is its query's own)
  template <typename Use>
  __device__ void for_each(const Use& use) const {
    const auto thread = static_cast<int32_t>(threadIdx.x);
    const float* gates =
        wave_.gates + int64_t{blockIdx.y} * wave_.num_rows * stride_ + first_column_;
    const int32_t* owns = pools_.own + wave_.first_row;
    const int32_t chunks = kByBlock ? 1 : stride_ / kColumns;
    const int32_t row_step = kThreads / chunks, chunk_step = kThreads % chunks;
    int32_t row = first_row_ + thread / chunks, chunk = thread % chunks;
    while (row < last_row_) {
      const int32_t column = chunk * kColumns;
      const float4 loaded =
          *reinterpret_cast<const float4*>(gates + int64_t{row} * stride_ + column);
      const float values[kColumns] = {loaded.x, loaded.y, loaded.z, loaded.w};
      const int32_t own = owns[row] - first_column_, last = pools_.num_tiles - first_column_;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        if (column + j < last) use(kByBlock ? j : 0, values[j], column + j == own);
      }
      row += row_step;
      chunk += chunk_step;
      if (chunk >= chunks) {
        chunk -= chunks;
        ++row;
      }
    }
  }

 private:
  const Pools& pools_;
  const GateWave& wave_;
  int32_t stride_, first_row_, last_row_, first_column_, plane_;
};

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

template <bool kByBlock>
__global__ void __launch_bounds__(kThreads)
    extents_kernel(const __grid_constant__ Pools pools, const GateWave wave,
                   const WaveShape shape) {
  constexpr int kPools = BlockEntries<kByBlock>::kPools;
  __shared__ uint32_t least[kPools], largest[kPools];
  const BlockEntries<kByBlock> entries(pools, wave, shape);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kPools) {
    least[thread] = 0xffffffffu;
    largest[thread] = kNoEntry;
  }
  __syncthreads();
  uint32_t low[kPools], high[kPools];
#pragma unroll
  for (int pool = 0; pool < kPools; ++pool) {
    low[pool] = 0xffffffffu;
    high[pool] = kNoEntry;
  }
  entries.for_each([&](int pool, float gate, bool) {
    low[pool] = min(low[pool], key_of(gate));
    high[pool] = max(high[pool], key_of(gate));
  });
#pragma unroll
  for (int pool = 0; pool < kPools; ++pool) {
    const uint32_t of_warp_low = ~warp_max(~low[pool]), of_warp_high = warp_max(high[pool]);
    if (thread % 32 != 0) continue;
    atomicMin(&least[pool], of_warp_low);
    atomicMax(&largest[pool], of_warp_high);
  }
  __syncthreads();
  PoolState* state = thread < kPools ? entries.pool(thread) : nullptr;
  if (state == nullptr) return;
  atomicMin(&state->least, least[thread]);
  atomicMax(&state->largest, largest[thread]);
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

struct Histogram {
  uint32_t low[kPoolPlaces], high[kPoolPlaces];  // halves of the weights
  uint32_t count[kPoolPlaces];
};

template <bool kByBlock>
__global__ void __launch_bounds__(kThreads)
    digit_kernel(const __grid_constant__ Pools pools, const GateWave wave, const WaveShape shape,
                 const Digit digit) {
  constexpr int kPools = BlockEntries<kByBlock>::kPools;
  auto* histograms = reinterpret_cast<Histogram*>(dynamic_shared());
  __shared__ PoolState states[kPools];
  __shared__ unsigned long long own_weight[kPools];
  const BlockEntries<kByBlock> entries(pools, wave, shape);
  const int thread = static_cast<int>(threadIdx.x);
  auto* words = reinterpret_cast<uint32_t*>(histograms);
  for (int i = thread; i < kPools * static_cast<int>(sizeof(Histogram) / sizeof(uint32_t));
       i += kThreads) {
    words[i] = 0;
  }
  if (thread < kPools) {
    PoolState none{};
    none.search = kDone;
    const PoolState* state = entries.pool(thread);
    states[thread] = state == nullptr ? none : *state;
    own_weight[thread] = 0;
  }
  __syncthreads();

  // In registers: what is added to shared memory might change them there.
  struct Terms {
    uint32_t prefix;
    int32_t search;
    float lo, scale;
  } terms[kPools];
#pragma unroll
  for (int pool = 0; pool < kPools; ++pool) {
    const PoolState& state = states[pool];
    terms[pool] = {state.prefix, state.search, state.lo, state.scale};
  }
  const bool weighs = pools.rule.top_k == 0;
  entries.for_each([&](int pool, float gate, bool own) {
    const Terms& term = terms[pool];
    if (term.search == kDone) return;
    const bool by_weight = weighs && term.search == kByWeight;
    GateSteps steps;
    steps.lo = term.lo;
    steps.scale = term.scale;
    const auto weight = by_weight ? static_cast<uint32_t>(steps.weight(gate)) : 0u;
    if (own) {
      if (digit.first && by_weight) atomicAdd(&own_weight[pool], weight);
      return;
    }
    const uint32_t key = key_of(gate);
    if (!digit.holds(key, term.prefix)) return;
    const uint32_t place = digit.place(key);
    Histogram& histogram = histograms[pool];
    if (digit.first || !by_weight) atomicAdd(&histogram.count[place], 1u);
    if (by_weight) {
      atomicAdd(&histogram.low[place], weight & ((1u << kHalfBits) - 1));
      atomicAdd(&histogram.high[place], weight >> kHalfBits);
    }
  });
  __syncthreads();

  const auto add = [](int64_t* sums, int64_t value) {
    if (value == 0) return;
    atomicAdd(reinterpret_cast<unsigned long long*>(sums), static_cast<unsigned long long>(value));
  };
  for (int pool = 0; pool < kPools && entries.pool(pool) != nullptr; ++pool) {
    const int64_t table = int64_t{entries.pool_idx(pool)} * kPoolPlaces;
    const Histogram& histogram = histograms[pool];
    for (int place = thread; place < kPoolPlaces; place += kThreads) {
      add(&pools.weights[table + place],
          (int64_t{histogram.high[place]} << kHalfBits) + histogram.low[place]);
      add(&pools.counts[table + place], histogram.count[place]);
    }
    if (thread == 0) add(&entries.pool(pool)->own, static_cast<int64_t>(own_weight[pool]));
  }
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

template <typename Run>
void for_wave(const Pools& pools, const GateWave& wave, const Run& run) {
  const bool by_block = pools.rule.span == PoolSpan::kBlock;
  const int32_t columns = by_block ? kColumns : pools.num_tiles;
  WaveShape shape{.rows_per_block = kBlockEntries / 4 / columns,
                  .row_blocks = 0,
                  .stride = score_stride(pools.num_tiles)};
  shape.row_blocks = (wave.num_rows + shape.rows_per_block - 1) / shape.rows_per_block;
  const int32_t groups = by_block ? (pools.num_tiles + kColumns - 1) / kColumns : 1;
  const dim3 grid(static_cast<unsigned>(shape.row_blocks * groups),
                  static_cast<unsigned>(wave.num_planes));
  if (by_block) {
    run.template operator()<true>(shape, grid);
  } else {
    run.template operator()<false>(shape, grid);
  }
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

void extents_pass(const Pools& pools, const GateWave& wave) {
  for_wave(pools, wave, [&]<bool kByBlock>(const WaveShape& shape, const dim3& grid) {
    launch(extents_kernel<kByBlock>, {.grid = grid, .block = dim3(kThreads)}, nullptr, pools, wave,
           shape);
  });
}

void measure_pools(const Pools& pools) {
  launch(steps_kernel, {.grid = dim3(blocks(pools.num_pools(), kThreads)), .block = dim3(kThreads)},
         nullptr, pools.states, pools.extents, pools.num_pools());
}

void digit_pass(const Pools& pools, const GateWave& wave, int32_t digit) {
  for_wave(pools, wave, [&]<bool kByBlock>(const WaveShape& shape, const dim3& grid) {
    launch(digit_kernel<kByBlock>,
           {.grid = grid,
            .block = dim3(kThreads),
            .shared_bytes = (kByBlock ? kColumns : 1) * sizeof(Histogram)},
           nullptr, pools, wave, shape, digit_of(digit));
  });
}

void advance_pools(const Pools& pools, int32_t digit) {
  launch(advance_kernel,
         {.grid = dim3(static_cast<unsigned>(pools.num_pools())), .block = dim3(kThreads)}, nullptr,
         pools, digit_of(digit));
}

}  // namespace sparsescope::cuda
