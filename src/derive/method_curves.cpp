#include "derive/method_curves.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {

std::span<const float> site_values(const Profile& profile, const std::string& name,
                                   const ProfileSite& site, size_t count) {
  const auto found = static_cast<size_t>(profile.trailing(name));
  SPARSESCOPE_CHECK(ErrorKind::kData, found == count,
                    "profile: {}: expected {} values for each site, found {}", name, count, found);
  return {profile.at(name, site.prompt, site.branch, site.step, site.layer, site.head), count};
}

double text_mass(const Profile& profile, const ProfileSite& site) {
  return profile.arrays.contains("prefix_mass")
             ? site_values(profile, "prefix_mass", site, 1).front()
             : 0.0;
}

double interpolate(std::span<const double> knots, std::span<const double> values, double x) {
  const auto above = std::upper_bound(knots.begin(), knots.end(), x) - knots.begin();
  if (above == 0) return values.front();
  if (above == static_cast<ptrdiff_t>(knots.size())) return values.back();
  const double weight = (x - knots[above - 1]) / (knots[above] - knots[above - 1]);
  return values[above - 1] + weight * (values[above] - values[above - 1]);
}

double first_reaching(std::span<const double> knots, std::span<const double> values, double y) {
  if (values.front() >= y) return knots.front();
  for (size_t i = 1; i < knots.size(); ++i) {
    if (values[i] < y) continue;
    const double weight = (y - values[i - 1]) / (values[i] - values[i - 1]);
    return knots[i - 1] + weight * (knots[i] - knots[i - 1]);
  }
  return knots.back();
}

std::unique_ptr<MethodCurves> make_method_curves(const Profile& profile, Method method,
                                                 bool all_heads) {
  switch (method) {
    case Method::kVsa:
      return make_vsa_curves(profile);
    case Method::kBsa:
      return make_bsa_curves(profile);
    case Method::kVmoba:
      return make_vmoba_curves(profile, all_heads);
    case Method::kDense:
      break;
  }
  fail(ErrorKind::kUsage, "derive: expected the method bsa, vsa or vmoba, found dense");
}

}  // namespace sparsescope
