#include "kernels/cuda/block_masses.cuh"

namespace sparsescope::cuda {

template void run_block_masses<__half, 128>(const BlockMasses<__half>&, cudaStream_t);

}  // namespace sparsescope::cuda
