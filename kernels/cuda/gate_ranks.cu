#include <bit>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/bitonic_sort.cuh"
#include "kernels/cuda/gate_ranks.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 64;

// One row of one partition, [size] each: a power of two.
struct RankedRow {
  uint64_t* keys;   // gate, descending, then block
  double* before;   // weight of the ranks from 1 on that precede
  double* covered;  // mass of the ranks up to this one

  __device__ RankedRow(unsigned char* memory, int size)
      : keys(reinterpret_cast<uint64_t*>(memory)),
        before(reinterpret_cast<double*>(keys + size)),
        covered(before + size) {}
  __device__ float gate(int rank) const {
    return float_of_ordered(~static_cast<uint32_t>(keys[rank] >> 32));
  }
  __device__ int block(int rank) const { return static_cast<int>(keys[rank] & 0xffffffffu); }
};

__device__ double inclusive_scan(double value, int lane) {
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const double other = __shfl_up_sync(~0u, value, offset);
    if (lane >= offset) value += other;
  }
  return value;
}

struct RowRange {
  double own = 0.0, lo = 0.0, width = 1.0;
  // The width times what the rule weighs an entry with.
  __device__ double weight(double gate) const { return gate - lo; }
};

// By the first warp: before and covered of all ranks. Returns the weight of the ranks from 1 on.
__device__ double scan_ranks(const RankedRow& row, int blocks, const RowRange& range,
                             const float* masses, int64_t stride) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  double weight = 0.0, mass = 0.0;
  for (int first = 0; first < blocks; first += 32) {
    const int rank = first + lane;
    const bool inside = rank < blocks;
    const double of_rank = inside && rank > 0 ? range.weight(row.gate(rank)) : 0.0;
    const double weights = weight + inclusive_scan(of_rank, lane);
    const double masses_to =
        mass + inclusive_scan(inside ? double{masses[row.block(rank) * stride]} : 0.0, lane);
    if (inside) {
      row.before[rank] = weights - of_rank;
      row.covered[rank] = masses_to;
    }
    weight = __shfl_sync(~0u, weights, 31);
    mass = __shfl_sync(~0u, masses_to, 31);
  }
  return weight;
}

// How many ranks a tau keeps: the own block and the best other one always.
__device__ int count_kept(const RankedRow& row, int blocks, double needed) {
  int low = min(2, blocks), high = blocks;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (row.before[middle] < needed) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// grid: blocks of threads that take the rows in turn, partitions, heads
__global__ void __launch_bounds__(kThreads, 1024 / kThreads)
    rank_kernel(const __grid_constant__ GateRanks call, int size, int64_t bytes) {
  __shared__ double others;
  const GateRows& rows = call.rows;
  const int thread = static_cast<int>(threadIdx.x);
  const auto partition = static_cast<int>(blockIdx.y), head = static_cast<int>(blockIdx.z);
  const GateBlock first = rows.blocks[rows.partition_first[partition]];
  const int blocks = first.num_blocks;
  const int last_size = rows.blocks[first.first_block + blocks - 1].size;
  unsigned char* memory = dynamic_shared();
  if (call.scratch != nullptr) {
    const int64_t number = (int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    memory = call.scratch + number * bytes;
  }
  const RankedRow row(memory, size);
  int sorted = 1;
  while (sorted < blocks) sorted *= 2;

  for (int r = static_cast<int>(blockIdx.x); r < call.num_rows; r += static_cast<int>(gridDim.x)) {
    const int64_t of_head = int64_t{head} * rows.num_blocks + first.first_block;
    const float* gates = rows.gates + of_head * rows.num_rows + call.first_row + r;
    const float* masses = call.masses + of_head * call.num_rows + r;
    __syncthreads();
    for (int c = thread; c < sorted; c += kThreads) {
      row.keys[c] = c < blocks ? uint64_t{~ordered_bits(gates[int64_t{c} * rows.num_rows])} << 32 |
                                     static_cast<uint32_t>(c)
                               : ~uint64_t{0};
    }
    sort_keys<kThreads>(row.keys, sorted);

    RowRange range;
    range.own = rows.own[(int64_t{head} * rows.num_partitions + partition) * rows.num_rows +
                         call.first_row + r];
    double hi = range.lo = range.own;
    if (blocks > 1) {
      hi = fmax(hi, double{row.gate(1)});
      range.lo = fmin(range.lo, double{row.gate(blocks - 1)});
    }
    range.width = hi - range.lo <= 1e-6 ? 1.0 : hi - range.lo;
    if (thread < 32) {
      const double weight = scan_ranks(row, blocks, range, masses, call.num_rows);
      if (thread == 0) others = weight;
    }
    __syncthreads();

    const int64_t at = int64_t{head} * call.num_rows + r;
    float* ranked = call.ranked + at * rows.num_blocks + first.first_block;
    for (int rank = thread; rank < blocks; rank += kThreads) {
      ranked[rank] = masses[int64_t{row.block(rank)} * call.num_rows];
      if (row.block(rank) != blocks - 1) continue;
      atomicAdd(&call.last_at[int64_t{rows.first_head + head} * rows.num_blocks +
                              first.first_block + rank],
                1);
      // Read again below, behind the barrier.
      row.before[0] = rank;
    }
    __syncthreads();
    if (thread < kGateTaus) {
      const double own = range.weight(range.own);
      const double wanted = (thread + 1.0) * (1.0 / (kGateTaus + 1.0));
      const double needed = fmax(0.0, wanted * (own + others + 1e-6 * range.width) - own);
      const int kept = count_kept(row, blocks, needed);
      double* by_tau = call.by_tau + (at * rows.num_partitions + partition) * 2 * kGateTaus;
      const double missing = row.before[0] < kept ? first.size - last_size : 0;
      by_tau[thread] = row.covered[kept - 1];
      by_tau[kGateTaus + thread] = static_cast<double>(kept) * first.size - missing;
    }
  }
}

}  // namespace

int64_t rank_bytes(int32_t most_blocks) {
  const auto size = static_cast<int64_t>(std::bit_ceil(static_cast<uint32_t>(most_blocks)));
  return size * static_cast<int64_t>(sizeof(uint64_t) + 2 * sizeof(double));
}

void rank_gates(const GateRanks& call, cudaStream_t stream) {
  const auto size = static_cast<int>(std::bit_ceil(static_cast<uint32_t>(call.rows.most_blocks)));
  const int64_t bytes = rank_bytes(call.rows.most_blocks);
  const int rows_apart = call.rows.num_partitions * call.rows.num_heads;
  const int blocks =
      call.scratch == nullptr ? call.num_rows : std::max(1, call.scratch_blocks / rows_apart);
  launch(rank_kernel,
         {.grid = dim3(blocks, call.rows.num_partitions, call.rows.num_heads),
          .block = dim3(kThreads),
          .shared_bytes = call.scratch == nullptr ? static_cast<size_t>(bytes) : 0},
         stream, call, size, bytes);
}

}  // namespace sparsescope::cuda
