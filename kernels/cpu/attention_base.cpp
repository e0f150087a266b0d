#include "kernels/cpu/block_body-inl.h"
#include "kernels/cpu/simd_base-inl.h"

namespace sparsescope::cpu {

const BlockKernels& base_block_kernels() { return kBlockKernels<SimdBase>; }

}  // namespace sparsescope::cpu
