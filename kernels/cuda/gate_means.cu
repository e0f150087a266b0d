#include "arch/launch.h"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/gate_means.h"
#include "kernels/cuda/typed_data.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;  // a channel each

template <typename Element>
struct KeyTensor {
  const Element* data;
  int64_t stride_head, stride_token;
  int32_t head_dim;
};

// grid: runs, heads
template <typename Element>
__global__ void __launch_bounds__(kThreads)
    key_runs_kernel(const KeyTensor<Element> k, const KeyRuns call, double* sums) {
  const int d = static_cast<int>(threadIdx.x);
  if (d >= k.head_dim) return;
  const KeyRun run = call.runs[blockIdx.x];
  const int32_t* tokens = call.tokens + run.first;
  const Element* of_head = k.data + blockIdx.y * k.stride_head + d;
  double sum = 0.0;
#pragma unroll 8
  for (int i = 0; i < run.count; ++i) sum += to_float(of_head[tokens[i] * k.stride_token]);
  sums[(int64_t{blockIdx.y} * call.num_runs + blockIdx.x) * k.head_dim + d] = sum;
}

// grid: blocks, heads
__global__ void __launch_bounds__(kThreads)
    mean_kernel(const double* sums, const BlockRuns of_blocks, const GateBlock* blocks,
                int32_t head_dim, float* means) {
  const int d = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
  if (d >= head_dim) return;
  const double* of_head = sums + int64_t{blockIdx.y} * of_blocks.num_runs * head_dim + d;
  double sum = 0.0;
#pragma unroll 8
  for (int i = of_blocks.first[block]; i < of_blocks.first[block + 1]; ++i) {
    sum += of_head[int64_t{of_blocks.runs[i]} * head_dim];
  }
  means[(int64_t{blockIdx.y} * of_blocks.num_blocks + block) * head_dim + d] =
      static_cast<float>(sum * (1.0 / blocks[block].size));
}

}  // namespace

void sum_key_runs(const AttentionTensor& k, int32_t first_head, int32_t num_heads,
                  const KeyRuns& runs, double* sums, cudaStream_t stream) {
  with_typed_data(k.data, k.dtype, [&]<typename Element>(const Element* data) {
    launch(key_runs_kernel<Element>,
           {.grid = dim3(runs.num_runs, num_heads), .block = dim3(kThreads)}, stream,
           KeyTensor<Element>{data + first_head * k.stride_head, k.stride_head, k.stride_token,
                              static_cast<int32_t>(k.head_dim)},
           runs, sums);
  });
}

void mean_of_runs(const double* sums, const BlockRuns& of_blocks, const GateBlock* blocks,
                  int32_t num_heads, int32_t head_dim, float* means, cudaStream_t stream) {
  launch(mean_kernel, {.grid = dim3(of_blocks.num_blocks, num_heads), .block = dim3(kThreads)},
         stream, sums, of_blocks, blocks, head_dim, means);
}

}  // namespace sparsescope::cuda
