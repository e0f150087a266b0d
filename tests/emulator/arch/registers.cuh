// The twin of setmaxnreg: the emulator has no registers to move, only the rules.
#pragma once

#include "emulator/engine.h"

namespace sparsescope::cuda {
namespace twin {

template <int kRegisters>
void set_registers() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  int nothing = 0;
  emulator::meet_in_warp("setmaxnreg", 0xffffffffu, &nothing, [](void* const*) {});
}

}  // namespace twin

template <int kRegisters>
void give_registers() {
  twin::set_registers<kRegisters>();
}
template <int kRegisters>
void take_registers() {
  twin::set_registers<kRegisters>();
}

}  // namespace sparsescope::cuda
