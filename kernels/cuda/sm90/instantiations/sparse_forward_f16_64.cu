#include "kernels/cuda/sm90/sparse_forward.cuh"

namespace sparsescope::cuda::sm90 {

template void run_sparse_forward<__half, 64>(const SparseForward<__half>&, int32_t, cudaStream_t);

}  // namespace sparsescope::cuda::sm90
