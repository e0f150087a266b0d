// Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004): Gaussian window of 11 x 11 with
// sigma 1.5, K1 = 0.01, K2 = 0.03, valid windows only; in fp64.
//
//   SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)),  C = (K * range)^2
#pragma once

#include <cstdint>
#include <span>

namespace sparsescope {

// Mean over all windows of all planes. Both hold planes of height x width, one after the other.
// Planes below 11 rows or columns use the largest odd window that fits.
double ssim(std::span<const float> reference, std::span<const float> other, int64_t height,
            int64_t width, double range);

}  // namespace sparsescope
