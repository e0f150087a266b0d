// The twin of cp.async: the bytes arrive when their group is waited for, and not before.
#pragma once

#include "emulator/engine.h"

namespace sparsescope::cuda {

inline void copy_async_16(void* shared, const void* global, bool valid) {
  emulator::copy_later(shared, global, 16, valid ? 16 : 0);
}
inline void copy_async_8(void* shared, const void* global, bool valid) {
  emulator::copy_later(shared, global, 8, valid ? 8 : 0);
}
inline void commit_copies() { emulator::close_copy_group(); }
template <int kGroupsLeft>
void wait_for_copies() {
  emulator::wait_for_copies(kGroupsLeft);
}

}  // namespace sparsescope::cuda
