#include "kernels/cuda/sm90/dense_forward.cuh"

namespace sparsescope::cuda::sm90 {

template void run_dense_forward<__half, 64>(const DenseForward<__half>&, cudaStream_t);

}  // namespace sparsescope::cuda::sm90
