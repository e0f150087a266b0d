#include "kernels/cuda/sparse_forward.cuh"

namespace sparsescope::cuda {

template void run_sparse_forward<__half, 128>(const SparseForward<__half>&, int32_t, cudaStream_t);

}  // namespace sparsescope::cuda
