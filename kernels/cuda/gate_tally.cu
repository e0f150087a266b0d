#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/gate_pools.cuh"
#include "kernels/cuda/gate_tally.h"
#include "kernels/cuda/gate_values.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;  // a row each
constexpr int kBlocks = 64;    // that a thread block walks along
constexpr int kSums = kGatePoolKinds * kGateTaus;
constexpr int kLimits = 32;  // the taus', and -infinity behind them

// Every thread has sums of its own: its row's masses add up to 1.
struct TallyShared {
  struct Sum {
    unsigned mass, tokens;
  };
  Sum sums[kSums][kThreads];
  float shared_pools[2][kLimits];  // of the head, of the partition
  float block_pools[kBlocks][kLimits];
};

__device__ void load_limits(const GatePool& pool, float* limits, int lane) {
  limits[lane] = lane < kGateTaus ? pool.limit[lane] : -INFINITY;
}

// The first tau that keeps the gate, or kGateTaus: limits descend.
__device__ int first_kept(float gate, const float* limits) {
  int tau = 0;
#pragma unroll
  for (int step = kLimits / 2; step > 0; step /= 2) {
    if (gate < limits[tau + step - 1]) tau += step;
  }
  return tau;
}

// grid: rows, runs of blocks of a partition, partitions and heads
__global__ void __launch_bounds__(kThreads)
    tally_kernel(const __grid_constant__ GateRows rows, const GatePool* pools,
                 const BlockMassChunk chunk, const GateTally tally) {
  auto& shared = *reinterpret_cast<TallyShared*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int partition = static_cast<int>(blockIdx.z) % rows.num_partitions;
  const int head = static_cast<int>(blockIdx.z) / rows.num_partitions;
  const GateBlock of = rows.blocks[rows.partition_first[partition]];
  const int first_block = of.first_block + static_cast<int>(blockIdx.y) * kBlocks;
  const int blocks = min(kBlocks, of.first_block + of.num_blocks - first_block);
  if (blocks <= 0) return;

  const auto pool_of = [&](int kind, int block) -> const GatePool& {
    return pools[pool_number(kind, rows, of, block, rows.first_head + head)];
  };
  if (warp < 2) {
    load_limits(pool_of(warp == 0 ? kHeadPool : kPartitionPool, first_block),
                shared.shared_pools[warp], lane);
  }
  for (int i = warp; i < blocks; i += kThreads / 32) {
    load_limits(pool_of(kBlockPool, first_block + i), shared.block_pools[i], lane);
  }
  for (int i = 0; i < kSums; ++i) shared.sums[i][thread] = {0, 0};
  __syncthreads();

  const int row = static_cast<int>(blockIdx.x) * kThreads + thread;
  const float* gates = gates_of(rows, head, first_block) + chunk.first_row + row;
  const float* masses =
      chunk.masses + (int64_t{head} * rows.num_blocks + first_block) * chunk.row_stride + row;
  const auto last_size =
      static_cast<unsigned>(rows.blocks[of.first_block + of.num_blocks - 1].size);
  const int last = of.first_block + of.num_blocks - 1 - first_block;
  if (row < chunk.num_rows) {
#pragma unroll 4
    for (int i = 0; i < blocks; ++i) {
      const float gate = gates[int64_t{i} * rows.num_rows];
      const float mass = masses[int64_t{i} * chunk.row_stride];
      const auto units = static_cast<unsigned>(mass * static_cast<float>(1.0 / kTallyUnit) + 0.5f);
      const unsigned size = i == last ? last_size : static_cast<unsigned>(of.size);
#pragma unroll
      for (int kind = 0; kind < kGatePoolKinds; ++kind) {
        const float* limits = kind == kHeadPool    ? shared.shared_pools[0]
                              : kind == kBlockPool ? shared.block_pools[i]
                                                   : shared.shared_pools[1];
        const int tau = first_kept(gate, limits);
        if (tau == kGateTaus) continue;
        TallyShared::Sum& sum = shared.sums[kind * kGateTaus + tau][thread];
        sum = {sum.mass + units, sum.tokens + size};
      }
    }
  }
  __syncthreads();
  for (int i = warp; i < kSums; i += kThreads / 32) {
    unsigned long long mass = 0, tokens = 0;
    for (int t = lane; t < kThreads; t += 32) {
      mass += shared.sums[i][t].mass;
      tokens += shared.sums[i][t].tokens;
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) {
      mass += __shfl_xor_sync(~0u, mass, offset);
      tokens += __shfl_xor_sync(~0u, tokens, offset);
    }
    if (lane != 0 || tokens == 0) continue;
    const int64_t at =
        (int64_t{rows.first_head + head} * rows.num_partitions + partition) * kSums + i;
    atomicAdd(&tally.mass[at], mass);
    atomicAdd(&tally.tokens[at], tokens);
  }
}

}  // namespace

void tally_pools(const GateRows& rows, const GatePool* pools, const BlockMassChunk& chunk,
                 const GateTally& tally, cudaStream_t stream) {
  launch(tally_kernel,
         {.grid = dim3((chunk.num_rows + kThreads - 1) / kThreads,
                       (rows.most_blocks + kBlocks - 1) / kBlocks,
                       rows.num_partitions * rows.num_heads),
          .block = dim3(kThreads),
          .shared_bytes = sizeof(TallyShared)},
         stream, rows, pools, chunk, tally);
}

}  // namespace sparsescope::cuda
