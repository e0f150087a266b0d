#include "kernels/cuda/cuda_attention.h"

#include "core/error.h"

namespace sparsescope::cuda {

void sparse_attention(const SparseAttentionParams&, Body) {
  fail(ErrorKind::kInternal, "CUDA sparse attention is not there yet");
}
void sparse_backward(const SparseBackwardParams&, Body) {
  fail(ErrorKind::kInternal, "CUDA sparse backward is not there yet");
}

}  // namespace sparsescope::cuda
