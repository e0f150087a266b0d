#include "arch/launch.h"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/key_blocks.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kBlock = 64;

__global__ void __launch_bounds__(kThreads)
    cut_ranges_kernel(const __grid_constant__ SparseSelection selection, RangeBlock* blocks,
                      int32_t* num_blocks) {
  int32_t before = 0;
  for (int64_t first = 0; first < selection.num_ranges; first += kThreads) {
    const auto range =
        static_cast<int32_t>(selection.num_ranges - 1 - first) - static_cast<int32_t>(threadIdx.x);
    const KeyRange keys = range >= 0 ? selection.ranges[range] : KeyRange{};
    int32_t of_all;
    int32_t place =
        before + block_exclusive_sum<kThreads>((keys.count + kBlock - 1) / kBlock, of_all);
    for (int32_t at = 0; at < keys.count; at += kBlock) {
      blocks[place++] = {range, keys.first + at, min(keys.count - at, kBlock)};
    }
    before += of_all;
  }
  if (threadIdx.x == 0) *num_blocks = before;
}

}  // namespace

void cut_ranges(const SparseSelection& selection, RangeBlock* blocks, int32_t* num_blocks,
                cudaStream_t stream) {
  launch(cut_ranges_kernel, {.grid = dim3(1), .block = dim3(kThreads)}, stream, selection, blocks,
         num_blocks);
}

}  // namespace sparsescope::cuda
