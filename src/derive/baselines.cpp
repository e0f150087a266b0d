#include "derive/baselines.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "derive/baseline_settings.h"
#include "derive/plan_assembly.h"

namespace sparsescope {
namespace {

constexpr std::array<std::pair<std::string_view, Baseline>, 8> kBaselines{{
    {"uniform", Baseline::kUniform},
    {"published", Baseline::kPublished},
    {"published:topk", Baseline::kPublishedTopK},
    {"published:threshold", Baseline::kPublishedThreshold},
    {"published:global", Baseline::kPublishedGlobal},
    {"published:fastvideo", Baseline::kPublishedFastVideo},
    {"random", Baseline::kRandom},
    {"oracle", Baseline::kOracle},
}};

// Those that a method has.
std::vector<Baseline> baselines_of(Method method) {
  switch (method) {
    case Method::kVsa:
      return {Baseline::kUniform, Baseline::kPublished, Baseline::kRandom, Baseline::kOracle};
    case Method::kBsa:
      return {Baseline::kUniform, Baseline::kPublished, Baseline::kPublishedFastVideo};
    case Method::kVmoba:
      return {Baseline::kUniform, Baseline::kPublished, Baseline::kPublishedTopK,
              Baseline::kPublishedThreshold, Baseline::kPublishedGlobal};
    case Method::kDense:
      break;
  }
  return {};
}

std::string names_of(const std::vector<Baseline>& baselines) {
  std::vector<std::string> names;
  for (const Baseline baseline : baselines) names.push_back(to_string(baseline));
  return fmt::format("{}", fmt::join(names, ", "));
}

void check_baseline(const DeriveOptions& options, Baseline baseline) {
  check_confidence(options.confidence);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.target.kind == TargetKind::kDensity,
                    "--baseline {}: expected --target density=D, found {}", to_string(baseline),
                    to_string(options.target));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.costs == nullptr,
                    "--baseline {}: expected no --costs, a baseline takes what it takes",
                    to_string(baseline));
  const std::vector<Baseline> known = baselines_of(options.method);
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    std::find(known.begin(), known.end(), baseline) != known.end(),
                    "--baseline: expected one of {} with the method {}, found {}", names_of(known),
                    to_string(options.method), to_string(baseline));
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, baseline != Baseline::kPublishedFastVideo,
                    "--baseline {}: profiles hold no density of BSA's cumulative rule, nor do "
                    "plans hold that rule; published is supported (attend --preset fastvideo runs "
                    "one call)",
                    to_string(baseline));
}

BaselineSettings settings_of(const Profile& profile, Method method, Baseline baseline) {
  if (method == Method::kVsa) return vsa_baseline(profile, baseline);
  if (method == Method::kBsa) return bsa_baseline(profile);
  if (baseline != Baseline::kUniform) return vmoba_baseline(profile, baseline);
  return {.curves = make_vmoba_curves(profile, true),
          .remarks = {"VMoBA: one partition and setting for all layers: of all that was measured, "
                      "the one of the highest mean recall within the density"}};
}

Allocation allocate_setting(const BaselineSettings& settings, const UnitGrid& grid,
                            const std::vector<UnitSample>& samples, const DenseSites& dense,
                            int64_t index) {
  Allocation result;
  for (size_t unit = 0; unit < samples.size(); ++unit) {
    std::optional<Setting>& setting = result.settings.emplace_back();
    if (samples[unit].sample.empty() || samples[unit].sparse_sites == 0) continue;
    const MethodParams params = settings.params(grid.units()[unit].layers.first, index);
    setting = Setting{params, settings.curves->evaluate(samples[unit].sample, params)};
  }
  result.density = density_of(result, samples, dense);
  return result;
}

// The densest within the budget; density never falls along the settings.
Allocation densest_within(const BaselineSettings& settings, const UnitGrid& grid,
                          const std::vector<UnitSample>& samples, const DenseSites& dense,
                          double budget) {
  constexpr double kRounding = 1e-9;
  int64_t low = settings.first, high = settings.last + 1;
  Allocation best = allocate_setting(settings, grid, samples, dense, low);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, best.density <= budget + kRounding,
                    "--target density={}: the sparsest setting of this baseline needs {:.4f} with "
                    "{:.1f} % of the attention calls dense",
                    budget, best.density, 100.0 * dense.share());
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    Allocation trial = allocate_setting(settings, grid, samples, dense, middle);
    if (trial.density <= budget + kRounding) {
      low = middle;
      best = std::move(trial);
    } else {
      high = middle;
    }
  }
  return best;
}

}  // namespace

Baseline parse_baseline(std::string_view text) {
  for (const auto& [name, baseline] : kBaselines) {
    if (name == text) return baseline;
  }
  fail(ErrorKind::kUsage, "--baseline: expected one of {}, found '{}'", baseline_names(), text);
}

std::string to_string(Baseline baseline) {
  const auto found = std::find_if(kBaselines.begin(), kBaselines.end(),
                                  [&](const auto& entry) { return entry.second == baseline; });
  return std::string(found->first);
}

std::string baseline_names() {
  std::vector<std::string_view> names;
  for (const auto& entry : kBaselines) names.push_back(entry.first);
  return fmt::format("{}", fmt::join(names, ", "));
}

Plan derive_baseline(const Profile& profile, DeriveOptions options, Baseline baseline) {
  check_baseline(options, baseline);
  const BaselineSettings settings = settings_of(profile, options.method, baseline);
  options.per = settings.per;
  const UnitGrid grid(profile, options.per);
  const DenseChoice dense = named_dense_sites(profile, options);
  const std::vector<UnitSample> samples =
      sample_units(profile, *settings.curves, grid, dense.sites);
  const double budget = options.target.value;
  const SettingCosts costs;
  const Allocation allocation =
      settings.params
          ? densest_within(settings, grid, samples, dense.sites, budget)
          : allocate_to_budget(*settings.curves, grid, samples, dense.sites, costs, budget);
  Plan plan = assemble_plan(
      {profile, *settings.curves, grid, samples, dense, allocation, costs, settings.remarks},
      options);
  Json& derivation = plan.evidence["derivation"];
  derivation["baseline"] = to_string(baseline);
  derivation.erase("recall_level");  // of an allocation over units, which a baseline is not
  return plan;
}

}  // namespace sparsescope
