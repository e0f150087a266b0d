#include "derive/derive.h"

#include "core/error.h"
#include "derive/allocation.h"
#include "derive/dense_choice.h"
#include "derive/expectation.h"
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
  DenseChoice dense = named_dense_sites(profile, options);
  std::vector<UnitSample> samples = sample_units(profile, *curves, grid, dense.sites);
  Allocation allocation = allocate(options, *curves, grid, samples, dense.sites);
  if (!options.dense_first_steps || !options.dense_layers) {
    add_found_dense_sites(dense, profile, options, *curves, grid, allocation);
    samples = sample_units(profile, *curves, grid, dense.sites);
    allocation = allocate(options, *curves, grid, samples, dense.sites);
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
  plan.evidence = make_evidence(profile, options, *curves, dense, allocation, expected);
  return plan;
}

}  // namespace sparsescope
