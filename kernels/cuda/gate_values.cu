#include "arch/launch.h"
#include "kernels/cuda/gate_values.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;

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

// grid: rows, listed blocks, heads
__global__ void __launch_bounds__(kThreads)
    finer_masses_kernel(const BlockParts finer, const BlockList list, int32_t num_rows,
                        int32_t row_stride, float* masses) {
  const int row = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (row >= num_rows) return;
  const int block = list.blocks[blockIdx.y];
  float* of_head = masses + int64_t{blockIdx.z} * finer.all_blocks * row_stride + row;
  float sum = 0.0f;
  for (int part = finer.first[block]; part < finer.first[block + 1]; ++part) {
    sum += of_head[int64_t{finer.parts[part]} * row_stride];
  }
  of_head[int64_t{block} * row_stride] = sum;
}

}  // namespace

void mark_own_gates(const GateRows& rows, cudaStream_t stream) {
  launch(
      mark_own_kernel,
      {.grid = dim3((rows.num_rows + kThreads - 1) / kThreads, rows.num_partitions, rows.num_heads),
       .block = dim3(kThreads)},
      stream, rows);
}

void sum_finer_masses(const BlockParts& finer, const BlockList& list, int32_t num_heads,
                      int32_t num_rows, int32_t row_stride, float* masses, cudaStream_t stream) {
  launch(finer_masses_kernel,
         {.grid = dim3((num_rows + kThreads - 1) / kThreads, list.count, num_heads),
          .block = dim3(kThreads)},
         stream, finer, list, num_rows, row_stride, masses);
}

}  // namespace sparsescope::cuda
