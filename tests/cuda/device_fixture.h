// What the tests of the CUDA back end share. The same sources run on the emulator (tests/emulator)
// and on a GPU: the file that is linked beside them, emulated_device.cpp or gpu_device.cpp,
// decides.
#pragma once

#include <gtest/gtest.h>

#include <functional>

namespace sparsescope::testing {

// Runs body under every schedule of the emulator, where a missing barrier shows as a result that
// depends on it; on a GPU once.
void for_each_schedule(const std::function<void()>& body);

// Lets the emulated GPU have this compute capability. On a GPU: whether it has it.
bool use_compute_capability(int major, int minor);

// Why tests cannot run here; null if they can.
const char* reason_to_skip();

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* reason = reason_to_skip()) GTEST_SKIP() << "no GPU test: " << reason;
  }
};

}  // namespace sparsescope::testing
