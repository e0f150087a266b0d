#include "kernels/cuda/sm90/sparse_forward.cuh"

namespace sparsescope::cuda::sm90 {

template void run_sparse_forward<__nv_bfloat16, 128>(const SparseForward<__nv_bfloat16>&, int32_t,
                                                     cudaStream_t);

}  // namespace sparsescope::cuda::sm90
