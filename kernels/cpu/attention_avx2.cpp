#include "kernels/cpu/block_body-inl.h"
#include "kernels/cpu/simd_avx2-inl.h"

namespace sparsescope::cpu {

const BlockKernels& avx2_block_kernels() { return kBlockKernels<SimdAvx2>; }

}  // namespace sparsescope::cpu
