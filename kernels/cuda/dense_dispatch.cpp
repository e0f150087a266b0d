#include "kernels/cuda/dense_dispatch.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace sparsescope::cuda {

template <typename Elem>
void run_dense(Body, int head_dim, const DenseForward<Elem>& call, cudaStream_t stream) {
  head_dim == 64 ? run_dense_forward<Elem, 64>(call, stream)
                 : run_dense_forward<Elem, 128>(call, stream);
}

template void run_dense(Body, int, const DenseForward<__nv_bfloat16>&, cudaStream_t);
template void run_dense(Body, int, const DenseForward<__half>&, cudaStream_t);

int64_t dense_shared_bytes(Body, int head_dim, int64_t num_bins) {
  return dense_forward_shared_bytes(head_dim, num_bins);
}

int dense_blocks(Body, int head_dim, bool with_masses) {
  return dense_forward_blocks(head_dim, with_masses);
}

}  // namespace sparsescope::cuda
