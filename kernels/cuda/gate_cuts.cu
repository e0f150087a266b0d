#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/bitonic_sort.cuh"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/gate_cuts.h"
#include "kernels/cuda/gate_pools.cuh"
#include "kernels/cuda/gate_values.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;
// A thread block takes some blocks of a partition, so that the pools they share are added to once.
constexpr int kBlocks = 4, kRows = 4096;
// What steps have below the digits of the first level adds up in 32 bits.
static_assert(kBlocks * kRows <= 1 << (32 - kGateBits + kGateLevels[0].bits));

constexpr int kTableBits = kGateLevels[0].bits;
constexpr uint8_t kNoTau = 255;

// What counts the gates in one pool. A bin has a number of gates, and the sum of what their steps
// have below the bin's digits.
struct PoolCount {
  double lo, scale;
  int32_t prefix[kGateTaus];
  uint8_t first_tau[1 << kTableBits];  // whose cut begins with these bits, or kNoTau
  unsigned counts[kGateHistogram], lows[kGateHistogram];

  __device__ void clear_bins() {
    for (int i = static_cast<int>(threadIdx.x); i < kGateHistogram; i += kThreads) {
      counts[i] = lows[i] = 0;
    }
  }

  // All threads; barriers within and none at the end.
  __device__ void load(const GatePool& pool, const GateLevel& level) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < kGateTaus) prefix[thread] = pool.prefix[thread];
    if (thread == kGateTaus) {
      lo = pool.lo;
      scale = pool.scale;
    }
    if (level.known == 0) return;
    for (int i = thread; i < (1 << kTableBits); i += kThreads) first_tau[i] = kNoTau;
    __syncthreads();
    if (thread >= kGateTaus || prefix[thread] < 0) return;
    const int shift = level.known - kTableBits;
    const int mine = prefix[thread] >> shift;
    if (thread == 0 || prefix[thread - 1] >> shift != mine) {
      first_tau[mine] = static_cast<uint8_t>(thread);
    }
  }

  // The first tau whose cut begins with the known bits of the step, or -1; prefixes descend.
  __device__ int find_slot(int step, const GateLevel& level) const {
    if (level.known == 0) return 0;
    int tau = first_tau[step >> (kGateBits - kTableBits)];
    if (tau == kNoTau) return -1;
    const int bits = step >> (kGateBits - level.known);
    while (tau < kGateTaus && prefix[tau] > bits) ++tau;
    return tau < kGateTaus && prefix[tau] == bits ? tau : -1;
  }

  __device__ void add(float gate, const GateLevel& level) {
    const int step = step_of(gate, lo, scale);
    const int slot = find_slot(step, level);
    if (slot < 0) return;
    const int rest = kGateBits - level.known - level.bits;
    const int digit = step >> rest & ((1 << level.bits) - 1);
    const int bin = (slot << level.bits) + digit;
    atomicAdd(&counts[bin], 1u);
    if (rest > 0) atomicAdd(&lows[bin], static_cast<unsigned>(step & ((1 << rest) - 1)));
  }

  // Clears the bins. A gate weighs two half steps for each of its own, and one for its middle.
  __device__ void flush(const GateLevel& level, unsigned long long* weights) {
    const int rest = kGateBits - level.known - level.bits;
    for (int bin = static_cast<int>(threadIdx.x); bin < kGateHistogram; bin += kThreads) {
      const unsigned count = counts[bin];
      if (count == 0) continue;
      const int slot = bin >> level.bits, digit = bin & ((1 << level.bits) - 1);
      const int known = level.known == 0 ? 0 : prefix[slot];
      const auto first = static_cast<unsigned long long>((known << level.bits) + digit) << rest;
      atomicAdd(&weights[bin], count * (2 * first + 1) + 2ull * lows[bin]);
      counts[bin] = lows[bin] = 0;
    }
  }
};

struct CountShared {
  PoolCount pools[kGatePoolKinds];
};

// grid: runs of blocks of a partition, partitions, heads and runs of rows
__global__ void __launch_bounds__(kThreads)
    count_kernel(const __grid_constant__ GateRows rows, const GateLevel level,
                 const GatePool* pools, unsigned long long* weights) {
  auto& shared = *reinterpret_cast<CountShared*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x);
  const GateBlock of = rows.blocks[rows.partition_first[blockIdx.y]];
  const int first_block = of.first_block + static_cast<int>(blockIdx.x) * kBlocks;
  const int end_block = min(first_block + kBlocks, of.first_block + of.num_blocks);
  const int head = static_cast<int>(blockIdx.z) % rows.num_heads;
  const int first_row = static_cast<int>(blockIdx.z) / rows.num_heads * kRows;
  const int end_row = min(first_row + kRows, rows.num_rows);
  if (first_block >= end_block) return;

  const auto number_of = [&](int kind, int block) {
    return pool_number(kind, rows, of, block, rows.first_head + head);
  };
  const auto flush = [&](int kind, int block) {
    shared.pools[kind].flush(level, weights + int64_t{number_of(kind, block)} * kGateHistogram);
  };
  for (int kind = 0; kind < kGatePoolKinds; ++kind) {
    shared.pools[kind].clear_bins();
    if (kind != kBlockPool) shared.pools[kind].load(pools[number_of(kind, first_block)], level);
  }
  for (int block = first_block; block < end_block; ++block) {
    shared.pools[kBlockPool].load(pools[number_of(kBlockPool, block)], level);
    __syncthreads();
    const float* gates = gates_of(rows, head, block);
    for (int row = first_row + thread; row < end_row; row += kThreads) {
      const float gate = gates[row];
      if (gate == INFINITY) continue;
#pragma unroll
      for (int kind = 0; kind < kGatePoolKinds; ++kind) shared.pools[kind].add(gate, level);
    }
    __syncthreads();
    flush(kBlockPool, block);
    __syncthreads();
  }
  flush(kHeadPool, first_block);
  flush(kPartitionPool, first_block);
}

constexpr int kLocateThreads = 128;

struct LocateShared {
  unsigned long long weights[kGateHistogram];
  unsigned long long before[kGateTaus];
  double needed[kGateTaus];
  int32_t prefix[kGateTaus];
  unsigned long long of_warp[kLocateThreads / 32];
};

// Before the first level: what the kept entries of each tau have to reach.
__device__ void find_needed(LocateShared& shared, double own) {
  constexpr double kEpsilon = 1e-6 * 2.0 * kGateSteps;  // keeps the rule from dividing by 0
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  unsigned long long sum = 0;
  for (int i = thread; i < kGateHistogram; i += kLocateThreads) sum += shared.weights[i];
  sum = warp_inclusive_sum(sum, lane);
  if (lane == 31) shared.of_warp[thread / 32] = sum;
  __syncthreads();
  if (thread >= kGateTaus) return;
  sum = 0;
  for (int warp = 0; warp < kLocateThreads / 32; ++warp) sum += shared.of_warp[warp];
  const double total = static_cast<double>(sum) + own;
  const double wanted = (thread + 1.0) / (kGateTaus + 1.0);
  shared.needed[thread] = fmax(0.0, wanted * (total + kEpsilon) - own);
  shared.before[thread] = 0;
  shared.prefix[thread] = 0;
}

// The least gate whose step is not below the cut's; floats in order are bisected.
__device__ float limit_of(int32_t cut, double lo, double scale) {
  if (cut < 0) return -INFINITY;
  uint32_t low = ordered_bits(static_cast<float>(lo));
  uint32_t high = ordered_bits(__double2float_ru(lo + (cut + 1.0) / scale));
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (step_of(float_of_ordered(middle), lo, scale) < cut) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return float_of_ordered(low);
}

// A block of threads a pool, a warp a tau: digits from the top, 32 at a time. A cut lies in the
// highest digit at which the sum reaches what is needed.
__global__ void __launch_bounds__(kLocateThreads)
    locate_kernel(const GateLevel level, const unsigned long long* weights, GatePool* pools) {
  __shared__ LocateShared shared;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  GatePool& pool = pools[blockIdx.x];
  for (int i = thread; i < kGateHistogram; i += kLocateThreads) {
    shared.weights[i] = weights[int64_t{blockIdx.x} * kGateHistogram + i];
  }
  if (level.known > 0 && thread < kGateTaus) {
    shared.needed[thread] = pool.needed[thread];
    shared.before[thread] = pool.before[thread];
    shared.prefix[thread] = pool.prefix[thread];
  }
  __syncthreads();
  if (level.known == 0) find_needed(shared, pool.own);
  __syncthreads();

  const int digits = 1 << level.bits;
  const bool last = level.known + level.bits == kGateBits;
  for (int tau = thread / 32; tau < kGateTaus; tau += kLocateThreads / 32) {
    const int32_t known = shared.prefix[tau];
    int32_t cut = -1;
    unsigned long long sum = shared.before[tau];
    if (known >= 0) {
      // The first of the cuts that share the known bits has the slot.
      const int slot =
          __ffs(static_cast<int>(__ballot_sync(~0u, lane <= tau && shared.prefix[lane] == known))) -
          1;
      const double needed = shared.needed[tau];
      for (int first = digits - 32; first >= 0; first -= 32) {
        const int digit = first + 31 - lane;
        const unsigned long long weight = shared.weights[slot * digits + digit];
        const unsigned long long behind = sum + warp_inclusive_sum(weight, lane);
        const unsigned hits =
            __ballot_sync(~0u, weight != 0 && static_cast<double>(behind) >= needed);
        if (hits != 0) {
          const int hit = __ffs(static_cast<int>(hits)) - 1;
          sum = __shfl_sync(~0u, behind - weight, hit);
          cut = (known << level.bits) + first + 31 - hit;
          break;
        }
        sum = __shfl_sync(~0u, behind, 31);
      }
    }
    if (lane != 0) continue;
    if (level.known == 0) pool.needed[tau] = shared.needed[tau];
    pool.before[tau] = sum;
    pool.prefix[tau] = cut;
    if (last) pool.limit[tau] = limit_of(cut, pool.lo, pool.scale);
  }
}

}  // namespace

void count_gates(const GateRows& rows, const GateLevel& level, const GatePool* pools,
                 unsigned long long* weights, cudaStream_t stream) {
  const auto runs = [](int32_t count, int32_t of) { return (count + of - 1) / of; };
  launch(count_kernel,
         {.grid = dim3(runs(rows.most_blocks, kBlocks), rows.num_partitions,
                       rows.num_heads * runs(rows.num_rows, kRows)),
          .block = dim3(kThreads),
          .shared_bytes = sizeof(CountShared)},
         stream, rows, level, pools, weights);
}

void locate_cuts(int32_t num_pools, const GateLevel& level, const unsigned long long* weights,
                 GatePool* pools, cudaStream_t stream) {
  launch(locate_kernel, {.grid = dim3(num_pools), .block = dim3(kLocateThreads)}, stream, level,
         weights, pools);
}

}  // namespace sparsescope::cuda
