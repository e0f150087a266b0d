#include "derive/plan_assembly.h"

#include <algorithm>

#include "core/error.h"
#include "derive/cost_evidence.h"
#include "derive/expectation.h"
#include "derive/manifest_evidence.h"
#include "derive/rules.h"
#include "model/experts.h"

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
          .checkpoint_hash = manifest_text(profile, "checkpoint_hash", ""),
          .low_noise_from_step = profile.expert.empty()
                                     ? std::nullopt
                                     : std::optional(first_low_noise_step(profile.expert))};
}

std::vector<int64_t> indices_of(const std::vector<bool>& flags) {
  std::vector<int64_t> result;
  for (size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) result.push_back(static_cast<int64_t>(i));
  }
  return result;
}

// The steps (layers) that are named, and those that no rule reaches: these run dense, too, and
// where effects were weighed that is what the data asked for. A plan without rules says all of it
// so.
std::vector<int64_t> dense_along(IndexRange PlanRule::*axis, const std::vector<PlanRule>& rules,
                                 std::vector<bool> dense) {
  std::vector<bool> reached(dense.size(), rules.empty());
  for (const PlanRule& rule : rules) {
    std::fill(reached.begin() + (rule.*axis).first, reached.begin() + (rule.*axis).last + 1, true);
  }
  for (size_t i = 0; i < dense.size(); ++i) dense[i] = dense[i] || !reached[i];
  return indices_of(dense);
}

Json make_evidence(const PlanParts& parts, const DeriveOptions& options,
                   const Expectation& expected) {
  const Profile& profile = parts.profile;
  int64_t recorded = 0;
  for (const uint8_t flag : profile.recorded) recorded += flag;
  Json evidence = options.source;
  write_profile_evidence(evidence, profile_evidence(profile));
  evidence["measured_on"] = {{"prompts", recorded_prompts(profile).size()},
                             {"branches", profile.branches},
                             {"steps", profile.steps},
                             {"recorded_calls", recorded},
                             {"rows_per_tile", profile.rows_per_tile}};
  Json remarks = Json::array();
  for (const std::string& remark : parts.remarks) remarks.push_back(remark);
  for (const std::string& remark : parts.dense.remarks) remarks.push_back(remark);
  remarks.push_back(expected.remark);
  remarks.push_back(
      "density and recall average over all steps, layers and heads, dense ones as 1; "
      "prompts weigh equally");
  evidence["derivation"] = {{"target", to_string(options.target)},
                            {"per", to_string(options.per)},
                            {"recall_level", parts.allocation.recall},
                            {"dense_share", parts.dense.sites.share()},
                            {"density_of_prompt", expected.density_of_prompt},
                            {"recall_of_prompt", expected.recall_of_prompt},
                            {"remarks", remarks}};
  return evidence;
}

}  // namespace

Plan assemble_plan(const PlanParts& parts, const DeriveOptions& options) {
  const Profile& profile = parts.profile;
  const Expectation expected =
      expect(profile, parts.curves, parts.grid, parts.samples, parts.allocation, parts.dense.sites,
             parts.costs, options.confidence);
  Plan plan;
  plan.model = plan_model(profile);
  plan.grid = profile.grid;
  plan.tile = profile.tile;
  plan.num_steps = profile.steps;
  plan.method = options.method;
  plan.rules = make_rules(parts.grid, parts.allocation);
  plan.dense_steps = dense_along(&PlanRule::steps, plan.rules, parts.dense.sites.steps);
  plan.dense_layers = dense_along(&PlanRule::layers, plan.rules, parts.dense.sites.layers);
  plan.expected_density = expected.density;
  plan.expected_recall = expected.recall;
  plan.expected_speedup = expected.speedup;
  plan.evidence = make_evidence(parts, options, expected);
  plan.evidence["cost"] = cost_evidence(plan, parts, expected, options.costs);
  return plan;
}

void check_confidence(double confidence) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, confidence > 0 && confidence < 1,
                    "--confidence: expected a number between 0 and 1, found {}", confidence);
}

}  // namespace sparsescope
