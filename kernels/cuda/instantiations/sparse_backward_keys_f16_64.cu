#include "kernels/cuda/sparse_backward_keys.cuh"

namespace sparsescope::cuda {

template void run_sparse_backward_keys<__half, 64>(const SparseBackward<__half>&, int64_t,
                                                   cudaStream_t);

}  // namespace sparsescope::cuda
