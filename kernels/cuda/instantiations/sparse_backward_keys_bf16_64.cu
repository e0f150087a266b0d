#include "kernels/cuda/sparse_backward_keys.cuh"

namespace sparsescope::cuda {

template void run_sparse_backward_keys<__nv_bfloat16, 64>(const SparseBackward<__nv_bfloat16>&,
                                                          int64_t, cudaStream_t);

}  // namespace sparsescope::cuda
