#include "kernels/cuda/sparse_backward_rows.cuh"

namespace sparsescope::cuda {

template void run_sparse_backward_rows<__half, 64>(const SparseBackward<__half>&, int32_t,
                                                   cudaStream_t);

}  // namespace sparsescope::cuda
