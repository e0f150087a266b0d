#include "summary/partition_curves.h"

#include <algorithm>
#include <cmath>

#include "derive/method_curves.h"
#include "stats/profile_schema.h"
#include "summary/site_numbers.h"

namespace sparsescope {
namespace {

constexpr double kRounding = 1e-6;  // of densities stored as fp32

PartitionCurve read_curve(const Profile& profile, const std::string& folder,
                          const SelectionRule& rule, bool by_error, int64_t prompt, int64_t layer) {
  const SiteRange range{.layer = layer};
  const std::vector<double> density =
      mean_values(profile, folder + "density_" + rule.suffix, {prompt}, range);
  std::vector<double> goodness = mean_values(
      profile, folder + (by_error ? "error_" : "recall_") + rule.suffix, {prompt}, range);
  if (density.empty() || goodness.empty()) return {};
  double text = 0;
  if (!by_error && profile.arrays.contains("prefix_mass")) {
    const std::vector<double> mass = mean_values(profile, "prefix_mass", {prompt}, range);
    text = mass.empty() ? 0 : mass.front();
  }
  for (double& value : goodness) value = by_error ? -value : std::min(1.0, value + text);
  const size_t count = rule.suffix == "topk" ? density.size() : tau_grid().size();
  const auto first = static_cast<std::ptrdiff_t>(static_cast<size_t>(rule.pool) * count);
  const auto end = first + static_cast<std::ptrdiff_t>(count);
  return {{density.begin() + first, density.begin() + end},
          {goodness.begin() + first, goodness.begin() + end}};
}

}  // namespace

std::vector<SelectionRule> selection_rules() {
  std::vector<SelectionRule> rules = {{"top-k", "topk"}};
  constexpr int64_t kPools = 4;
  const Axis pools = describe_axis("pool", kPools);
  for (int64_t pool = 0; pool < kPools; ++pool) {
    rules.push_back({"tau of " + pools.labels[static_cast<size_t>(pool)], "tau", pool});
  }
  return rules;
}

double goodness_at(const PartitionCurve& curve, double density) {
  if (curve.density.empty() || density < curve.density.front() - kRounding ||
      density > curve.density.back() + kRounding) {
    return kNotKnown;
  }
  return interpolate(curve.density, curve.goodness, density);
}

double density_reaching(const PartitionCurve& curve, double goodness) {
  const auto reaches = [goodness](double value) { return value >= goodness; };
  if (std::none_of(curve.goodness.begin(), curve.goodness.end(), reaches)) return kNotKnown;
  return first_reaching(curve.density, curve.goodness, goodness);
}

PartitionCurves::PartitionCurves(const Profile& profile, const std::vector<Partition>& partitions,
                                 const SelectionRule& rule, bool by_error,
                                 const std::vector<int64_t>& prompts)
    : layers_(static_cast<size_t>(profile.layers)), prompts_(prompts.size()) {
  for (const Partition& partition : partitions) {
    const std::string folder = "vmoba/" + to_string(partition) + "/";
    for (int64_t layer = 0; layer < profile.layers; ++layer) {
      for (const int64_t prompt : prompts) {
        curves_.push_back(read_curve(profile, folder, rule, by_error, prompt, layer));
      }
    }
  }
}

}  // namespace sparsescope
