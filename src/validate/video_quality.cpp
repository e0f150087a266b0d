#include "validate/video_quality.h"

#include <algorithm>

#include "core/error.h"
#include "validate/metrics.h"
#include "validate/ssim.h"

namespace sparsescope {
namespace {

VideoQuality quality(const HostTensor& dense, const HostTensor& sparse, double range) {
  SPARSESCOPE_ASSERT(dense.shape == sparse.shape && dense.shape.size() >= 2);
  const int64_t height = dense.shape[dense.shape.size() - 2];
  const int64_t width = dense.shape.back();
  return {std::min(kMaxPsnr, psnr(dense.values, sparse.values, range)),
          ssim(dense.values, sparse.values, height, width, range)};
}

HostTensor to_unit_range(HostTensor pixels) {
  for (float& value : pixels.values) value = std::clamp(0.5f * (value + 1.0f), 0.0f, 1.0f);
  return pixels;
}

}  // namespace

VideoQuality latent_quality(const HostTensor& dense, const HostTensor& sparse) {
  return quality(dense, sparse, value_range(dense.values));
}

VideoQuality pixel_quality(const HostTensor& dense, const HostTensor& sparse) {
  return quality(to_unit_range(dense), to_unit_range(sparse), 1.0);
}

}  // namespace sparsescope
