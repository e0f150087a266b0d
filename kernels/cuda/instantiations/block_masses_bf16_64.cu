#include "kernels/cuda/block_masses.cuh"

namespace sparsescope::cuda {

template void run_block_masses<__nv_bfloat16, 64>(const BlockMasses<__nv_bfloat16>&, cudaStream_t);

}  // namespace sparsescope::cuda
