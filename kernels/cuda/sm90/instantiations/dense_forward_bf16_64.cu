#include "kernels/cuda/sm90/dense_forward.cuh"

namespace sparsescope::cuda::sm90 {

template void run_dense_forward<__nv_bfloat16, 64>(const DenseForward<__nv_bfloat16>&,
                                                   cudaStream_t);

}  // namespace sparsescope::cuda::sm90
