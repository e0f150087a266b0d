#include "kernels/cpu/pairs_body-inl.h"
#include "kernels/cpu/simd_avx512bf16-inl.h"

namespace sparsescope::cpu {

const PairKernels& avx512bf16_pair_kernels() { return kPairKernels<SimdAvx512Bf16>; }

}  // namespace sparsescope::cpu
