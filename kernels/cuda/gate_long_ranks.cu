#include <algorithm>
#include <bit>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/bitonic_sort.cuh"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/gate_ranks.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxSharedBytes = int64_t{96} << 10;
constexpr int32_t kScratchBlocks = 512;  // of threads, where rows are sorted in global memory

// One row, [size] each: a power of two.
struct RankedRow {
  uint64_t* keys;   // rank_key of gate and block
  double* before;   // weight of the ranks from 1 on that precede
  double* covered;  // mass of the ranks up to this one

  __device__ RankedRow(unsigned char* memory, int size)
      : keys(reinterpret_cast<uint64_t*>(memory)),
        before(reinterpret_cast<double*>(keys + size)),
        covered(before + size) {}
  __device__ float gate(int rank) const { return value_of_key(keys[rank]); }
  __device__ int block(int rank) const { return number_of_key(keys[rank]); }
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
    const double weights = weight + warp_inclusive_sum(of_rank, lane);
    const double masses_to =
        mass + warp_inclusive_sum(inside ? double{masses[row.block(rank) * stride]} : 0.0, lane);
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

// grid: blocks of threads that take the rows in turn. scratch: null, or [blocks, bytes].
__global__ void __launch_bounds__(kThreads)
    long_ranks_kernel(const __grid_constant__ RankCall call, int size, int64_t bytes,
                      uint8_t* scratch) {
  __shared__ double others;
  __shared__ int last_rank;
  const GateRows& rows = call.rows;
  const int thread = static_cast<int>(threadIdx.x);
  const int blocks = call.of.num_blocks;
  const RankedRow row(scratch == nullptr ? dynamic_shared() : scratch + blockIdx.x * bytes, size);

  const int num_items = call.chunk.num_rows * call.chunk.num_heads;
  for (int item = static_cast<int>(blockIdx.x); item < num_items;
       item += static_cast<int>(gridDim.x)) {
    const int r = item % call.chunk.num_rows, head = item / call.chunk.num_rows;
    const int64_t of_head = int64_t{head} * rows.num_blocks + call.of.first_block;
    const float* gates = rows.gates + of_head * rows.num_rows + call.chunk.first_row + r;
    const float* masses = call.chunk.masses + of_head * call.chunk.row_stride + r;
    __syncthreads();
    for (int c = thread; c < size; c += kThreads) {
      row.keys[c] = c < blocks ? rank_key(gates[int64_t{c} * rows.num_rows], c) : ~uint64_t{0};
    }
    sort_keys<kThreads>(row.keys, size);

    const RowRange range(own_gate(call, head, r), blocks > 1, row.gate(min(1, blocks - 1)),
                         row.gate(blocks - 1));
    if (thread < 32) {
      const double weight = scan_ranks(row, blocks, range, masses, call.chunk.row_stride);
      if (thread == 0) others = weight;
    }
    const int64_t first = first_rank(call, head);
    for (int rank = thread; rank < blocks; rank += kThreads) {
      const int block = row.block(rank);
      atomicAdd(&call.sums.mass[first + rank],
                rank_units(masses[int64_t{block} * call.chunk.row_stride]));
      if (block != blocks - 1) continue;
      atomicAdd(&call.sums.last_at[first + rank], 1);
      last_rank = rank;
    }
    __syncthreads();
    if (thread < kGateTaus) {
      const int kept = count_kept(row, blocks, range.needed(thread, others));
      const int missing = last_rank < kept ? call.of.size - last_block_size(call) : 0;
      const int64_t at = first_tau(call, head) + thread;
      atomicAdd(&call.sums.tau_mass[at], rank_units(row.covered[kept - 1]));
      atomicAdd(&call.sums.tau_tokens[at],
                static_cast<unsigned long long>(int64_t{kept} * call.of.size - missing));
    }
  }
}

}  // namespace

void rank_long_rows(const RankCall& call, cudaStream_t stream) {
  const auto size = static_cast<int>(std::bit_ceil(static_cast<uint32_t>(call.of.num_blocks)));
  const int64_t bytes = size * static_cast<int64_t>(sizeof(uint64_t) + 2 * sizeof(double));
  const bool in_shared = bytes <= kMaxSharedBytes;
  const int32_t num_items = call.chunk.num_rows * call.chunk.num_heads;
  const int32_t blocks = in_shared ? num_items : std::min(kScratchBlocks, num_items);
  DeviceBuffer<uint8_t> scratch(in_shared ? 0 : blocks * bytes, stream);
  launch(long_ranks_kernel,
         {.grid = dim3(blocks),
          .block = dim3(kThreads),
          .shared_bytes = in_shared ? static_cast<size_t>(bytes) : 0},
         stream, call, size, bytes, scratch.data());
}

}  // namespace sparsescope::cuda
