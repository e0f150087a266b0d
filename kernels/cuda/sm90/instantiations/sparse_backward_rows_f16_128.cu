#include "kernels/cuda/sm90/sparse_backward_rows.cuh"

namespace sparsescope::cuda::sm90 {

template void run_sparse_backward_rows<__half, 128>(const SparseBackward<__half>&, int32_t,
                                                    cudaStream_t);

}  // namespace sparsescope::cuda::sm90
