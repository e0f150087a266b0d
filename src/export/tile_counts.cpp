#include "export/tile_counts.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sparsescope {

int64_t kept_by_ceil(double dropped, int64_t n) {
  const double wanted = std::ceil((1.0 - dropped) * static_cast<double>(n));
  return std::max<int64_t>(1, std::min(static_cast<int64_t>(wanted), n));
}

int64_t kept_by_floor(double ratio, int64_t n) {
  return std::max<int64_t>(1, static_cast<int64_t>(ratio * static_cast<double>(n)));
}

int64_t kept_by_floor_f32(double ratio, int64_t n) {
  const float product = static_cast<float>(n) * static_cast<float>(ratio);
  return std::min(std::max<int64_t>(1, static_cast<int64_t>(std::floor(product))), n);
}

int64_t kept_by_floor_of_dropped(double dropped, int64_t n) {
  const auto wanted = static_cast<int64_t>((1.0 - dropped) * static_cast<double>(n));
  return std::max<int64_t>(1, std::min(n, wanted));
}

double dropped_for_ceil(int64_t kept, int64_t n) {
  const double dropped =
      kept == n ? 0.0 : 1.0 - (static_cast<double>(kept) - 0.5) / static_cast<double>(n);
  SPARSESCOPE_ASSERT(kept_by_ceil(dropped, n) == kept);
  return dropped;
}

double ratio_for_floor(int64_t kept, int64_t n) {
  const double ratio = kept == n ? 1.0 : (static_cast<double>(kept) + 0.5) / static_cast<double>(n);
  SPARSESCOPE_ASSERT(kept_by_floor(ratio, n) == kept && kept_by_floor_f32(ratio, n) == kept);
  return ratio;
}

double dropped_for_floor(int64_t kept, int64_t n) {
  const double dropped =
      kept == n ? 0.0 : 1.0 - (static_cast<double>(kept) + 0.5) / static_cast<double>(n);
  SPARSESCOPE_ASSERT(kept_by_floor_of_dropped(dropped, n) == kept);
  return dropped;
}

double dropped_for_any_rounding(int64_t kept, int64_t n) {
  const double dropped =
      kept == n ? 0.0 : 1.0 - (static_cast<double>(kept) + 0.25) / static_cast<double>(n);
  SPARSESCOPE_ASSERT(kept_by_floor_of_dropped(dropped, n) == kept &&
                     kept_by_ceil(dropped, n) == std::min(kept + 1, n));
  return dropped;
}

}  // namespace sparsescope
