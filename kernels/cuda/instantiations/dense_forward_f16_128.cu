#include "kernels/cuda/dense_forward.cuh"

namespace sparsescope::cuda {

template void run_dense_forward<__half, 128>(const DenseForward<__half>&, cudaStream_t);

}  // namespace sparsescope::cuda
