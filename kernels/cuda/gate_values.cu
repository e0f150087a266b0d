#include "arch/launch.h"
#include "kernels/cuda/gate_values.h"
#include "kernels/cuda/piece_masses.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

// grid: rows, partitions, heads
__global__ void mark_own_kernel(const GateRows rows) {
  const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int partition = static_cast<int>(blockIdx.y);
  if (row >= rows.num_rows) return;
  const int block = rows.partition_first[partition] + rows.self[partition * rows.num_rows + row];
  float& gate = rows.gates[(int64_t{blockIdx.z} * rows.num_blocks + block) * rows.num_rows + row];
  rows.own[(int64_t{blockIdx.z} * rows.num_partitions + partition) * rows.num_rows + row] = gate;
  gate = INFINITY;
}

// grid: row blocks, heads, runs of blocks. A warp takes a block at a time.
__global__ void __launch_bounds__(kThreads)
    block_masses_kernel(const MassChunk chunk, const RowBlock* row_blocks, const BlockCells cells,
                        int32_t first_row, int32_t num_rows, float* masses) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const RowBlock rows = row_blocks[chunk.first_row_block + blockIdx.x];
  const BlockPieces pieces(chunk, static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.x),
                           rows.count, lane);
  for (int block = static_cast<int>(blockIdx.z) * kWarps + warp; block < cells.num_blocks;
       block += static_cast<int>(gridDim.z) * kWarps) {
    LanePair sum;
    for (int i = cells.first[block]; i < cells.first[block + 1]; ++i) {
      const int cell = cells.cells[i];
      const LanePair mass = pieces.mass(cells.piece_first[cell], cells.piece_first[cell + 1]);
      sum.low += mass.low;
      sum.high += mass.high;
    }
    float* out = masses + (int64_t{blockIdx.y} * cells.num_blocks + block) * num_rows + rows.first -
                 first_row;
    if (lane < rows.count) out[lane] = sum.low;
    if (lane + 32 < rows.count) out[lane + 32] = sum.high;
  }
}

}  // namespace

void mark_own_gates(const GateRows& rows, cudaStream_t stream) {
  launch(
      mark_own_kernel,
      {.grid = dim3((rows.num_rows + kThreads - 1) / kThreads, rows.num_partitions, rows.num_heads),
       .block = dim3(kThreads)},
      stream, rows);
}

void sum_block_masses(const MassChunk& chunk, const RowBlock* row_blocks, const BlockCells& cells,
                      int32_t first_row, int32_t num_rows, float* masses, cudaStream_t stream) {
  constexpr int kBlocksOfWarp = 8;
  const int runs = (cells.num_blocks + kBlocksOfWarp * kWarps - 1) / (kBlocksOfWarp * kWarps);
  launch(block_masses_kernel,
         {.grid = dim3(chunk.num_row_blocks, chunk.num_heads, runs), .block = dim3(kThreads)},
         stream, chunk, row_blocks, cells, first_row, num_rows, masses);
}

}  // namespace sparsescope::cuda
