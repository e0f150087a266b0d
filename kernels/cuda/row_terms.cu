#include "arch/launch.h"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/row_terms.h"
#include "kernels/cuda/typed_data.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr float kLog2E = 1.44269504088896341f;

template <typename Source>
struct SourceRows {
  const Source* data;
  int64_t stride_batch, stride_head, stride_token;
  int32_t heads, head_dim, first_head;
  int64_t tokens;

  __device__ const Source* row(int32_t number, int64_t token) const {
    const int32_t head = number - first_head;
    return data + head / heads * stride_batch + head % heads * stride_head + token * stride_token;
  }
};

// A warp a row; grid: rows, heads
template <typename Source, typename Elem>
__global__ void __launch_bounds__(kThreads)
    row_terms_kernel(const HeadRows<Elem> d_out, const SourceRows<Source> out, const float* lse,
                     int32_t first_head, RowTerms* terms) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t token = int64_t{blockIdx.x} * kWarps + warp;
  if (token >= out.tokens) return;
  const int32_t head = first_head + static_cast<int32_t>(blockIdx.y);
  const Source* out_row = out.row(head, token);
  const Elem* d_out_row = d_out.head(head) + token * d_out.stride_row;
  float sum = 0.0f;
  for (int d = lane; d < out.head_dim; d += 32) {
    sum = fmaf(to_float(out_row[d]), to_float(d_out_row[d]), sum);
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(0xffffffffu, sum, distance);
  }
  if (lane != 0) return;
  const float row_lse = lse[head * out.tokens + token];
  terms[blockIdx.y * out.tokens + token] = {row_lse == -INFINITY ? INFINITY : row_lse * kLog2E,
                                            sum};
}

__global__ void __launch_bounds__(kThreads)
    clear_rows_kernel(const __grid_constant__ HeadOutput output, int32_t first_head,
                      const int32_t* strand_counts) {
  const int32_t head = first_head + static_cast<int32_t>(blockIdx.y);
  if (strand_counts[head] == 0) return;
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const auto token = static_cast<int32_t>(i / output.head_dim);
  if (token < output.tokens) output.row(head, token)[i % output.head_dim] = 0.0f;
}

dim3 grid_of(int64_t items, int64_t per_block, int32_t num_heads) {
  return {static_cast<unsigned>((items + per_block - 1) / per_block),
          static_cast<unsigned>(num_heads)};
}

}  // namespace

template <typename Elem>
void make_row_terms(const HeadRows<Elem>& d_out, const AttentionTensor& out, int32_t out_head,
                    const float* lse, int32_t first_head, int32_t num_heads, RowTerms* terms,
                    cudaStream_t stream) {
  with_typed_data(out.data, out.dtype, [&]<typename Source>(const Source* data) {
    const SourceRows<Source> rows{data,
                                  out.stride_batch,
                                  out.stride_head,
                                  out.stride_token,
                                  static_cast<int32_t>(out.heads),
                                  static_cast<int32_t>(out.head_dim),
                                  out_head,
                                  out.tokens};
    launch(row_terms_kernel<Source, Elem>,
           {.grid = grid_of(out.tokens, kWarps, num_heads), .block = dim3(kThreads)}, stream, d_out,
           rows, lse, first_head, terms);
  });
}

template void make_row_terms(const HeadRows<__nv_bfloat16>&, const AttentionTensor&, int32_t,
                             const float*, int32_t, int32_t, RowTerms*, cudaStream_t);
template void make_row_terms(const HeadRows<__half>&, const AttentionTensor&, int32_t, const float*,
                             int32_t, int32_t, RowTerms*, cudaStream_t);

void clear_rows(const HeadOutput& output, int32_t first_head, int32_t num_heads,
                const int32_t* strand_counts, cudaStream_t stream) {
  launch(clear_rows_kernel,
         {.grid = grid_of(output.tokens * output.head_dim, kThreads, num_heads),
          .block = dim3(kThreads)},
         stream, output, first_head, strand_counts);
}

}  // namespace sparsescope::cuda
