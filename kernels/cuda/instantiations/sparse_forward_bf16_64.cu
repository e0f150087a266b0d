#include "kernels/cuda/sparse_forward.cuh"

namespace sparsescope::cuda {

template void run_sparse_forward<__nv_bfloat16, 64>(const SparseForward<__nv_bfloat16>&, int32_t,
                                                    cudaStream_t);

}  // namespace sparsescope::cuda
