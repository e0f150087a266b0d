// A free-running video with sparse attention against the dense one from the same noise.
//   latents: PSNR and SSIM with R = max - min of the dense latents
//   pixels:  mapped from [-1, 1] to [0, 1] and clipped, R = 1
#pragma once

#include "core/host_tensor.h"

namespace sparsescope {

// PSNR in dB. Equal videos, whose PSNR is infinite, and anything closer than this stand as 100.
inline constexpr double kMaxPsnr = 100.0;

struct VideoQuality {
  double psnr = kMaxPsnr;
  double ssim = 1.0;
};

VideoQuality latent_quality(const HostTensor& dense, const HostTensor& sparse);  // [1, C, F, H, W]
VideoQuality pixel_quality(const HostTensor& dense, const HostTensor& sparse);   // [F, 3, H, W]

}  // namespace sparsescope
