#include "kernels/cpu/block_body-inl.h"
#include "kernels/cpu/simd_avx512-inl.h"

namespace sparsescope::cpu {

const BlockKernels& avx512_block_kernels() { return kBlockKernels<SimdAvx512>; }

}  // namespace sparsescope::cpu
