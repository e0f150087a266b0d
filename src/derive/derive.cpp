#include "derive/derive.h"

#include <algorithm>

#include "core/error.h"
#include "derive/allocation.h"
#include "derive/dense_choice.h"
#include "derive/effect_allocation.h"
#include "derive/expectation.h"
#include "derive/intervals.h"
#include "derive/manifest_evidence.h"
#include "derive/method_curves.h"
#include "derive/rules.h"

namespace sparsescope {
namespace {

std::string manifest_text(const Profile& profile, const char* key, const char* otherwise) {
  const auto found = profile.manifest.find(key);
  return found != profile.manifest.end() && found->is_string() ? found->get<std::string>()
                                                               : otherwise;
}

int64_t manifest_head_dim(const Profile& profile) {
  const auto found = profile.manifest.find("head_dim");
  const bool known = found != profile.manifest.end() && found->is_number_integer();
  const int64_t head_dim = known ? found->get<int64_t>() : 0;
  SPARSESCOPE_CHECK(ErrorKind::kData, head_dim >= 1,
                    "profile: manifest: /head_dim: expected a positive number, found {}",
                    known ? found->dump() : "none");
  return head_dim;
}

Plan::Model plan_model(const Profile& profile) {
  // Profiles of captured q, k, v name neither a family nor a checkpoint.
  return {.family = manifest_text(profile, "family", "captured"),
          .layers = profile.layers,
          .heads = profile.heads,
          .head_dim = manifest_head_dim(profile),
          .checkpoint_hash = manifest_text(profile, "checkpoint_hash", "")};
}

Allocation allocate(const DeriveOptions& options, const MethodCurves& curves, const UnitGrid& grid,
                    const std::vector<UnitSample>& samples, const DenseSites& dense) {
  return options.target.kind == TargetKind::kRecall
             ? allocate_at_recall(curves, grid, samples, dense, options.target.value)
             : allocate_to_density(curves, grid, samples, dense, options.target.value);
}

bool weighs_effects(const Profile& effects, const DeriveOptions& options) {
  const bool held = has_effects(effects, options.method);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      held || (options.target.kind != TargetKind::kError && options.weighing != Weighing::kEffect),
      "--target {}: expected a profile that measured effects on the model's output "
      "(profile --sensitivity N), found none of {} in this one",
      to_string(options.target), to_string(options.method));
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      options.target.kind != TargetKind::kError || options.weighing != Weighing::kRecall,
      "--weigh recall: expected the target recall or density, found error");
  return held && options.target.kind != TargetKind::kRecall &&
         options.weighing != Weighing::kRecall;
}

void check_effects(const Profile& profile, const Profile& effects) {
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    effects.grid == profile.grid && effects.tile == profile.tile &&
                        effects.steps == profile.steps && effects.layers == profile.layers &&
                        effects.heads == profile.heads,
                    "--effects: expected a profile of grid {}, {} steps, {} layers and {} heads, "
                    "found {}, {}, {} and {}",
                    to_string(profile.grid), profile.steps, profile.layers, profile.heads,
                    to_string(effects.grid), effects.steps, effects.layers, effects.heads);
}

Expected expected_error(const EffectAllocation& found, double confidence) {
  Expected expected{.mean = found.error,
                    .low = 0.0,
                    .high = std::max(1.0, found.error),
                    .confidence = confidence};
  if (found.error_of_prompt.size() < 2) return expected;
  const Interval interval = prediction_interval(found.error_of_prompt, confidence);
  expected.low = std::clamp(interval.low, 0.0, found.error);
  expected.high = std::max(interval.high, found.error);
  return expected;
}

std::string effect_remark(const EffectTable& table) {
  return fmt::format(
      "settings weighed by their effect on the model's output, measured on {} forward passes "
      "around "
      "{}: budget split where the marginal error per pair is the same everywhere; heads, layers "
      "and steps may stay dense",
      table.sites.size(), table.around_plan ? "an earlier plan" : "dense attention");
}

std::vector<int64_t> indices_of(const std::vector<bool>& flags) {
  std::vector<int64_t> result;
  for (size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) result.push_back(static_cast<int64_t>(i));
  }
  return result;
}

Json make_evidence(const Profile& profile, const DeriveOptions& options, const MethodCurves& curves,
                   const DenseChoice& dense, const Allocation& allocation,
                   const Expectation& expected) {
  int64_t recorded = 0;
  for (const uint8_t flag : profile.recorded) recorded += flag;
  Json evidence = options.source;
  write_profile_evidence(evidence, profile_evidence(profile));
  evidence["measured_on"] = {{"prompts", profile.prompts},
                             {"branches", profile.branches},
                             {"steps", profile.steps},
                             {"recorded_calls", recorded},
                             {"rows_per_tile", profile.rows_per_tile}};
  Json remarks = Json::array();
  for (const std::string& remark : curves.remarks()) remarks.push_back(remark);
  for (const std::string& remark : dense.remarks) remarks.push_back(remark);
  remarks.push_back(expected.remark);
  remarks.push_back(
      "density and recall average over all steps, layers and heads, dense ones as 1; "
      "prompts weigh equally");
  evidence["derivation"] = {{"target", to_string(options.target)},
                            {"per", to_string(options.per)},
                            {"recall_level", allocation.recall},
                            {"dense_share", dense.sites.share()},
                            {"density_of_prompt", expected.density_of_prompt},
                            {"recall_of_prompt", expected.recall_of_prompt},
                            {"remarks", remarks}};
  return evidence;
}

}  // namespace

Plan derive_plan(const Profile& profile, const DeriveOptions& options) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.confidence > 0 && options.confidence < 1,
                    "--confidence: expected a number between 0 and 1, found {}",
                    options.confidence);
  const bool all_heads = options.per == Granularity::kModel || options.per == Granularity::kLayer;
  const auto curves = make_method_curves(profile, options.method, all_heads);
  const UnitGrid grid(profile, options.per);
  const Profile& effects = options.effects != nullptr ? *options.effects : profile;
  const bool by_effect = weighs_effects(effects, options);
  DenseChoice dense = named_dense_sites(profile, options);
  std::vector<UnitSample> samples = sample_units(profile, *curves, grid, dense.sites);
  Allocation allocation;
  std::optional<EffectAllocation> by_effects;
  if (by_effect) {
    check_effects(profile, effects);
    const std::vector<Candidate> candidates = make_candidates(profile, options.method, all_heads);
    const EffectTable table = read_effects(effects, options.method, candidates);
    const EffectAllocator allocator(*curves, grid, samples, dense.sites, candidates, table,
                                    profile.steps);
    by_effects = options.target.kind == TargetKind::kError
                     ? allocator.to_error(options.target.value)
                     : allocator.to_density(options.target.value);
    allocation = by_effects->allocation;
    dense.remarks.push_back(effect_remark(table));
  } else {
    allocation = allocate(options, *curves, grid, samples, dense.sites);
    if (!options.dense_first_steps || !options.dense_layers) {
      add_found_dense_sites(dense, profile, options, *curves, grid, allocation);
      samples = sample_units(profile, *curves, grid, dense.sites);
      allocation = allocate(options, *curves, grid, samples, dense.sites);
    }
  }

  const Expectation expected =
      expect(profile, *curves, grid, samples, allocation, dense.sites, options.confidence);
  Plan plan;
  plan.model = plan_model(profile);
  plan.grid = profile.grid;
  plan.tile = profile.tile;
  plan.num_steps = profile.steps;
  plan.method = options.method;
  plan.dense_steps = indices_of(dense.sites.steps);
  plan.dense_layers = indices_of(dense.sites.layers);
  plan.rules = make_rules(grid, allocation);
  plan.expected_density = expected.density;
  plan.expected_recall = expected.recall;
  if (by_effects) plan.expected_error = expected_error(*by_effects, options.confidence);
  plan.evidence = make_evidence(profile, options, *curves, dense, allocation, expected);
  return plan;
}

}  // namespace sparsescope
