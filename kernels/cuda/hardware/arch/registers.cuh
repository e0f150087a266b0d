// Moving registers between the warp groups of a block (setmaxnreg, sm_90a). A kernel starts with
// equal shares, those of its __launch_bounds__; each group's part is to be one branch.
#pragma once

namespace sparsescope::cuda {

// Registers per thread afterwards, by all threads of the group: fewer, or more once others have
// given enough of theirs. A multiple of 8 between 24 and 256.
template <int kRegisters>
__device__ inline void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace sparsescope::cuda
