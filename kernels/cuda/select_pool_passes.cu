// What the search for the cuts of pools reads of the gates: their extents, then a histogram by each
// digit of their keys.
#include "arch/block.cuh"
#include "arch/launch.h"
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

}  // namespace

void extents_pass(const Pools& pools, const GateWave& wave) {
  for_wave(pools, wave, [&]<bool kByBlock>(const WaveShape& shape, const dim3& grid) {
    launch(extents_kernel<kByBlock>, {.grid = grid, .block = dim3(kThreads)}, nullptr, pools, wave,
           shape);
  });
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

}  // namespace sparsescope::cuda
