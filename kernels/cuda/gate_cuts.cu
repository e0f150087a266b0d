#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/gate_cuts.h"
#include "kernels/cuda/gate_values.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;
constexpr float kMassUnits = 1 << 27;

// The three pools of the gates of a head to a block.
struct PoolNumbers {
  int32_t number[kGatePoolKinds];
  __device__ PoolNumbers(const GateRows& rows, const GateBlock& of, int block, int head) {
    const int32_t first = first_pool(of.partition, of.first_block, rows.total_heads);
    number[0] = first + rows.first_head + head;
    number[1] = first + rows.total_heads + block - of.first_block;
    number[2] = first + rows.total_heads + of.num_blocks;
  }
};

// In fp64: fp32 would tell fewer gates apart than there are.
__device__ int step_of(float gate, double lo, double scale) {
  return min(static_cast<int>((gate - lo) * scale), kGateSteps - 1);
}
// In half steps: the middle of the step.
__device__ unsigned long long weight_of(int step) { return 2ull * step + 1; }

// The first tau whose cut begins with these bits, or -1; prefixes descend.
__device__ int find_prefix(const int32_t* prefix, int bits) {
  int low = 0, high = kGateTaus;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (prefix[middle] > bits) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < kGateTaus && prefix[low] == bits ? low : -1;
}

struct PoolsOfBlock {
  double lo[kGatePoolKinds], scale[kGatePoolKinds];
  int32_t prefix[kGatePoolKinds][kGateTaus];

  __device__ void load(const GatePool* pools, const PoolNumbers& numbers) {
    for (int i = static_cast<int>(threadIdx.x); i < kGatePoolKinds * kGateTaus; i += kThreads) {
      const GatePool& pool = pools[numbers.number[i / kGateTaus]];
      prefix[i / kGateTaus][i % kGateTaus] = pool.prefix[i % kGateTaus];
      lo[i / kGateTaus] = pool.lo;
      scale[i / kGateTaus] = pool.scale;
    }
  }
};

struct CountShared {
  PoolsOfBlock pools;
  unsigned long long weights[kGatePoolKinds][kGateHistogram];
  unsigned counts[kGatePoolKinds][kGateHistogram];
};

// grid: blocks, heads
__global__ void __launch_bounds__(kThreads)
    count_kernel(const __grid_constant__ GateRows rows, const GateLevel level,
                 const GatePool* pools, const GateHistograms histograms) {
  auto& shared = *reinterpret_cast<CountShared*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x);
  const int block = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const PoolNumbers numbers(rows, rows.blocks[block], block, head);
  shared.pools.load(pools, numbers);
  for (int i = thread; i < kGatePoolKinds * kGateHistogram; i += kThreads) {
    shared.counts[0][i] = 0;
    shared.weights[0][i] = 0;
  }
  __syncthreads();
  const float* gates = gates_of(rows, head, block);
  const int left = kGateBits - level.known;  // bits not known
  for (int row = thread; row < rows.num_rows; row += kThreads) {
    const float gate = gates[row];
    if (gate == INFINITY) continue;
    for (int kind = 0; kind < kGatePoolKinds; ++kind) {
      const int step = step_of(gate, shared.pools.lo[kind], shared.pools.scale[kind]);
      const int slot = level.known == 0 ? 0 : find_prefix(shared.pools.prefix[kind], step >> left);
      if (slot < 0) continue;
      const int digit = step >> (left - level.bits) & ((1 << level.bits) - 1);
      const int at = (slot << level.bits) + digit;
      atomicAdd(&shared.counts[kind][at], 1u);
      atomicAdd(&shared.weights[kind][at], weight_of(step));
    }
  }
  __syncthreads();
  for (int i = thread; i < kGatePoolKinds * kGateHistogram; i += kThreads) {
    if (shared.counts[0][i] == 0) continue;
    const int64_t at =
        int64_t{numbers.number[i / kGateHistogram]} * kGateHistogram + i % kGateHistogram;
    atomicAdd(&histograms.counts[at], static_cast<unsigned long long>(shared.counts[0][i]));
    atomicAdd(&histograms.weights[at], shared.weights[0][i]);
  }
}

// A thread a pool. A cut lies in the highest digit at which the sum reaches what is needed.
__global__ void locate_kernel(int32_t num_pools, const GateLevel level,
                              const GateHistograms histograms, GatePool* pools) {
  const auto number = static_cast<int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
  if (number >= num_pools) return;
  GatePool& pool = pools[number];
  const unsigned long long* counts = histograms.counts + int64_t{number} * kGateHistogram;
  const unsigned long long* weights = histograms.weights + int64_t{number} * kGateHistogram;
  const int digits = 1 << level.bits;
  if (level.known == 0) {
    constexpr double kEpsilon = 1e-6 * 2.0 * kGateSteps;  // keeps the rule from dividing by 0
    double total = pool.own;
    for (int i = 0; i < digits; ++i) total += static_cast<double>(weights[i]);
    for (int tau = 0; tau < kGateTaus; ++tau) {
      const double wanted = (tau + 1.0) / (kGateTaus + 1.0);
      pool.needed[tau] = fmax(0.0, wanted * (total + kEpsilon) - pool.own);
      pool.before[tau] = 0;
      pool.prefix[tau] = 0;
    }
  }
  int slot = 0;
  int32_t known = pool.prefix[0];  // of the cuts that share the slot
  for (int tau = 0; tau < kGateTaus; ++tau) {
    if (pool.prefix[tau] < 0) continue;
    if (pool.prefix[tau] != known) {
      slot = tau;
      known = pool.prefix[tau];
    }
    unsigned long long sum = pool.before[tau];
    int digit = digits - 1;
    for (; digit >= 0; --digit) {
      const int at = slot * digits + digit;
      if (counts[at] == 0) continue;
      const unsigned long long behind = sum + weights[at];
      if (static_cast<double>(behind) >= pool.needed[tau]) break;
      sum = behind;
    }
    pool.before[tau] = sum;
    pool.prefix[tau] = digit < 0 ? -1 : (known << level.bits) + digit;
  }
}

struct TallyShared {
  PoolsOfBlock pools;
  unsigned long long mass[kGatePoolKinds][kGateTaus];
  unsigned counts[kGatePoolKinds][kGateTaus];
};

// grid: blocks, heads
__global__ void __launch_bounds__(kThreads)
    tally_kernel(const __grid_constant__ GateRows rows, const GatePool* pools, const float* masses,
                 int32_t first_row, int32_t num_rows, const GateTally tally) {
  __shared__ TallyShared shared;
  const int thread = static_cast<int>(threadIdx.x);
  const int block = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const GateBlock of = rows.blocks[block];
  shared.pools.load(pools, PoolNumbers(rows, of, block, head));
  for (int i = thread; i < kGatePoolKinds * kGateTaus; i += kThreads) {
    shared.mass[0][i] = 0;
    shared.counts[0][i] = 0;
  }
  __syncthreads();
  const float* gates = gates_of(rows, head, block) + first_row;
  const float* mass = masses + (int64_t{head} * rows.num_blocks + block) * num_rows;
  for (int row = thread; row < num_rows; row += kThreads) {
    const float gate = gates[row];
    const auto units = static_cast<unsigned long long>(mass[row] * kMassUnits + 0.5f);
    for (int kind = 0; kind < kGatePoolKinds; ++kind) {
      int tau = 0;  // the first that keeps the entry; every one keeps the own block
      if (gate != INFINITY) {
        const int step = step_of(gate, shared.pools.lo[kind], shared.pools.scale[kind]);
        while (tau < kGateTaus && step < shared.pools.prefix[kind][tau]) ++tau;
        if (tau == kGateTaus) continue;
      }
      atomicAdd(&shared.mass[kind][tau], units);
      atomicAdd(&shared.counts[kind][tau], 1u);
    }
  }
  __syncthreads();
  for (int i = thread; i < kGatePoolKinds * kGateTaus; i += kThreads) {
    if (shared.counts[0][i] == 0) continue;
    const int64_t at = (int64_t{rows.first_head + head} * rows.num_partitions + of.partition) *
                           kGatePoolKinds * kGateTaus +
                       i;
    atomicAdd(&tally.mass[at], shared.mass[0][i]);
    atomicAdd(&tally.tokens[at], static_cast<unsigned long long>(shared.counts[0][i]) * of.size);
  }
}

LaunchShape by_block(const GateRows& rows) {
  return {.grid = dim3(rows.num_blocks, rows.num_heads), .block = dim3(kThreads)};
}

}  // namespace

void count_gates(const GateRows& rows, const GateLevel& level, const GatePool* pools,
                 const GateHistograms& histograms, cudaStream_t stream) {
  LaunchShape shape = by_block(rows);
  shape.shared_bytes = sizeof(CountShared);
  launch(count_kernel, shape, stream, rows, level, pools, histograms);
}

void locate_cuts(int32_t num_pools, const GateLevel& level, const GateHistograms& histograms,
                 GatePool* pools, cudaStream_t stream) {
  constexpr int kPoolsOfBlock = 32;
  launch(
      locate_kernel,
      {.grid = dim3((num_pools + kPoolsOfBlock - 1) / kPoolsOfBlock), .block = dim3(kPoolsOfBlock)},
      stream, num_pools, level, histograms, pools);
}

void tally_pools(const GateRows& rows, const GatePool* pools, const float* masses,
                 int32_t first_row, int32_t num_rows, const GateTally& tally, cudaStream_t stream) {
  launch(tally_kernel, by_block(rows), stream, rows, pools, masses, first_row, num_rows, tally);
}

}  // namespace sparsescope::cuda
