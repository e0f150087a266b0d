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

struct CellMasses {
  MassChunk chunk;
  const RowBlock* row_blocks;
  const int32_t* piece_first;
  BlockParts cells;
  BlockList list;
  int32_t first_row, num_rows;
  float* masses;
};

// grid: row blocks, heads, runs of blocks. A warp takes a block at a time.
__global__ void __launch_bounds__(kThreads)
    cell_masses_kernel(const __grid_constant__ CellMasses call) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const RowBlock rows = call.row_blocks[call.chunk.first_row_block + blockIdx.x];
  const BlockPieces pieces(call.chunk, static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.x),
                           lane);
  for (int i = static_cast<int>(blockIdx.z) * kWarps + warp; i < call.list.count;
       i += static_cast<int>(gridDim.z) * kWarps) {
    const int block = call.list.blocks[i];
    LanePair sum;
    for (int part = call.cells.first[block]; part < call.cells.first[block + 1]; ++part) {
      const int cell = call.cells.parts[part];
      pieces.add(call.piece_first[cell], call.piece_first[cell + 1], sum);
    }
    sum = pieces.scaled(sum);
    float* out = call.masses +
                 (int64_t{blockIdx.y} * call.cells.all_blocks + block) * call.num_rows +
                 rows.first - call.first_row;
    if (lane < rows.count) out[lane] = sum.low;
    if (lane + 32 < rows.count) out[lane + 32] = sum.high;
  }
}

// grid: rows, listed blocks, heads
__global__ void __launch_bounds__(kThreads)
    finer_masses_kernel(const BlockParts finer, const BlockList list, int32_t num_rows,
                        float* masses) {
  const int row = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (row >= num_rows) return;
  const int block = list.blocks[blockIdx.y];
  float* of_head = masses + int64_t{blockIdx.z} * finer.all_blocks * num_rows + row;
  float sum = 0.0f;
  for (int part = finer.first[block]; part < finer.first[block + 1]; ++part) {
    sum += of_head[int64_t{finer.parts[part]} * num_rows];
  }
  of_head[int64_t{block} * num_rows] = sum;
}

}  // namespace

void mark_own_gates(const GateRows& rows, cudaStream_t stream) {
  launch(
      mark_own_kernel,
      {.grid = dim3((rows.num_rows + kThreads - 1) / kThreads, rows.num_partitions, rows.num_heads),
       .block = dim3(kThreads)},
      stream, rows);
}

void sum_cell_masses(const MassChunk& chunk, const RowBlock* row_blocks, const int32_t* piece_first,
                     const BlockParts& cells, const BlockList& list, int32_t first_row,
                     int32_t num_rows, float* masses, cudaStream_t stream) {
  constexpr int kBlocksOfWarp = 4;
  const int runs = (list.count + kBlocksOfWarp * kWarps - 1) / (kBlocksOfWarp * kWarps);
  launch(cell_masses_kernel,
         {.grid = dim3(chunk.num_row_blocks, chunk.num_heads, runs), .block = dim3(kThreads)},
         stream,
         CellMasses{chunk, row_blocks, piece_first, cells, list, first_row, num_rows, masses});
}

void sum_finer_masses(const BlockParts& finer, const BlockList& list, int32_t num_heads,
                      int32_t num_rows, float* masses, cudaStream_t stream) {
  launch(finer_masses_kernel,
         {.grid = dim3((num_rows + kThreads - 1) / kThreads, list.count, num_heads),
          .block = dim3(kThreads)},
         stream, finer, list, num_rows, masses);
}

}  // namespace sparsescope::cuda
