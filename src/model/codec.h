// LinearCodec: a latent token is a patch of pixels through a fixed linear map (small checkpoints
// carry one in codec/). p = (z * std) @ basis + mean; z = ((p - mean) @ basis^T) / std.
#pragma once

#include <filesystem>

#include "core/host_tensor.h"

namespace sparsescope {

class LinearCodec {
 public:
  static LinearCodec open(const std::filesystem::path& folder);
  // [F, 3, H, W] of the video that latents of this shape decode to.
  std::vector<int64_t> video_shape(const std::vector<int64_t>& latent_shape) const;
  HostTensor decode(
      const HostTensor& latents) const;              // [1, C, F, Hl, Wl] -> [F, 3, H, W] in [-1, 1]
  HostTensor encode(const HostTensor& video) const;  // the inverse

 private:
  int64_t patch_ = 0, channels_ = 0;
  HostTensor mean_;   // [3 * patch * patch] in the order (channel, dy, dx)
  HostTensor basis_;  // [channels, 3 * patch * patch]
  HostTensor std_;    // [channels]
};

}  // namespace sparsescope
