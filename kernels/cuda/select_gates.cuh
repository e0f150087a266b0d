// The arithmetic of VMoBA's threshold rule (GateSteps of capture/vmoba_rule.h): weights in whole
// steps of the pool's range, so that sums do not depend on their order.
#pragma once

#include <cstdint>

#include "kernels/cuda/select_keys.cuh"

namespace sparsescope::cuda {

struct GateSteps {
  float lo = 0.0f;
  float scale = 0.0f;  // steps per unit of the gate
  double unit = 1.0;   // steps of a normalised gate of 1

  GateSteps() = default;
  __device__ GateSteps(float least, float largest) : lo(least) {
    constexpr int kBias = 127, kLargestExponent = 127, kTopBit = 29;
    const int exponent = static_cast<int>(__float_as_uint(largest - least) >> 23 & 0xff) - kBias;
    scale = __uint_as_float(static_cast<uint32_t>(min(kLargestExponent, kTopBit - exponent) + kBias)
                            << 23);
    const double width = static_cast<double>(largest) - static_cast<double>(least);
    unit = __dmul_rn(width <= 1e-6 ? 1.0 : width, static_cast<double>(scale));
  }
  __device__ int64_t weight(float gate) const { return static_cast<int32_t>((gate - lo) * scale); }
  // Least sum of steps that the other entries have to reach; 0: the first entry alone.
  __device__ int64_t target(double threshold, int64_t own, int64_t total) const {
    constexpr double kSlack = 1e-6, kOutOfReach = 4611686018427387904.0;  // 2^62
    // Rounded after each operation, as on the host.
    const double reach =
        __dmul_rn(threshold, __dadd_rn(static_cast<double>(total), __dmul_rn(kSlack, unit)));
    const double needed = fmax(0.0, __dadd_rn(reach, -static_cast<double>(own)));
    return static_cast<int64_t>(fmin(kOutOfReach, ceil(needed)));
  }
};

}  // namespace sparsescope::cuda
