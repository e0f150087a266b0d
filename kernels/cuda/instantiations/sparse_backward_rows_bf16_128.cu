#include "kernels/cuda/sparse_backward_rows.cuh"

namespace sparsescope::cuda {

template void run_sparse_backward_rows<__nv_bfloat16, 128>(const SparseBackward<__nv_bfloat16>&,
                                                           int32_t, cudaStream_t);

}  // namespace sparsescope::cuda
