#include "cuda/device_fixture.h"
#include "emulator/engine.h"

namespace sparsescope::testing {

void for_each_schedule(const std::function<void()>& body) {
  for (const auto schedule : {emulator::Schedule::kForward, emulator::Schedule::kBackward,
                              emulator::Schedule::kShuffled}) {
    emulator::set_schedule(schedule, 11);
    body();
  }
  emulator::set_schedule(emulator::Schedule::kForward);
}

bool use_compute_capability(int major, int minor) {
  emulator::set_compute_capability(major, minor);
  return true;
}

const char* reason_to_skip() { return nullptr; }

}  // namespace sparsescope::testing
