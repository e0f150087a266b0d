#include "model/pixels.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr int64_t kColours = 3;
constexpr float kHalfRange = 127.5f;

// What is no number is black.
uint8_t to_byte(float value) {
  const float scaled = std::round((value + 1.0f) * kHalfRange);
  return scaled > 0.0f ? static_cast<uint8_t>(std::min(scaled, 255.0f)) : uint8_t{0};
}

}  // namespace

std::vector<int64_t> rgb_shape(const std::vector<int64_t>& video_shape) {
  SPARSESCOPE_ASSERT(video_shape.size() == 4 && video_shape[1] == kColours);
  return {video_shape[0], video_shape[2], video_shape[3], kColours};
}

std::vector<uint8_t> rgb_bytes(const HostTensor& video) {
  const std::vector<int64_t> shape = rgb_shape(video.shape);
  const int64_t F = shape[0], plane = shape[1] * shape[2];
  std::vector<uint8_t> bytes(video.values.size());  // [F, H, W, 3]
  for (int64_t f = 0; f < F; ++f) {
    for (int64_t colour = 0; colour < kColours; ++colour) {
      const float* from = video.values.data() + (f * kColours + colour) * plane;
      uint8_t* into = bytes.data() + f * plane * kColours + colour;
      for (int64_t i = 0; i < plane; ++i) into[i * kColours] = to_byte(from[i]);
    }
  }
  return bytes;
}

}  // namespace sparsescope
