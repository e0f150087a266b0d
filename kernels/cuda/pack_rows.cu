#include "arch/launch.h"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/pack_rows.h"
#include "kernels/cuda/typed_data.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 8;  // elements, 16 bytes of the target

template <typename Source>
struct PackCall {
  const Source* source;
  int64_t stride_batch, stride_head, stride_token;
  int32_t heads, source_dim;
  int32_t first_head;
  const int32_t* order;
  int64_t num_rows;
  int32_t head_dim;
};

// grid: chunks of eight elements of a head's rows, heads
template <typename Source, typename Elem>
__global__ void pack_rows_kernel(const PackCall<Source> call, Elem* target) {
  const int chunks = call.head_dim / kPerThread;
  const int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t row = item / chunks;
  if (row >= call.num_rows) return;
  const int first = static_cast<int>(item % chunks) * kPerThread;
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const int64_t token = call.order == nullptr ? row : call.order[row];
  const Source* source = call.source + head / call.heads * call.stride_batch +
                         head % call.heads * call.stride_head + token * call.stride_token;
  Elem packed[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    const bool present = token >= 0 && first + i < call.source_dim;
    packed[i] = to_element<Elem>(present ? to_float(source[first + i]) : 0.0f);
  }
  Elem* to = target + (int64_t{blockIdx.y} * call.num_rows + row) * call.head_dim + first;
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(packed);
}

}  // namespace

template <typename Elem>
void pack_rows(const AttentionTensor& tensor, int32_t first_head, int32_t num_heads,
               const int32_t* order, int64_t num_rows, int32_t head_dim, Elem* target,
               cudaStream_t stream) {
  const int64_t items = num_rows * (head_dim / kPerThread);
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>((items + kThreads - 1) / kThreads),
                                       static_cast<unsigned>(num_heads)),
                          .block = dim3(kThreads)};
  with_typed_data(tensor.data, tensor.dtype, [&]<typename Source>(const Source* data) {
    const PackCall<Source> call{data,
                                tensor.stride_batch,
                                tensor.stride_head,
                                tensor.stride_token,
                                static_cast<int32_t>(tensor.heads),
                                static_cast<int32_t>(tensor.head_dim),
                                first_head,
                                order,
                                num_rows,
                                head_dim};
    launch(pack_rows_kernel<Source, Elem>, shape, stream, call, target);
  });
}

template void pack_rows(const AttentionTensor&, int32_t, int32_t, const int32_t*, int64_t, int32_t,
                        __nv_bfloat16*, cudaStream_t);
template void pack_rows(const AttentionTensor&, int32_t, int32_t, const int32_t*, int64_t, int32_t,
                        __half*, cudaStream_t);

}  // namespace sparsescope::cuda
