// Do the intervals of a plan hold? Prompts are drawn from a known distribution, a plan is derived
// from a few of them, and one more prompt is drawn and given that plan, many times over.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <ostream>
#include <span>

#include "core/rng.h"
#include "derive/derive.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_coverage;
using testing::add_statistic;
using testing::make_profile;
using testing::ProfileShape;

constexpr int64_t kTiles = 16;
constexpr double kMeasured[] = {1, 2, 3, 4, 6, 8, 12, 16};
constexpr int64_t kSteps = 2, kLayers = 3, kHeads = 4;

// Each has an offset of its own, and one at each of its sites, that its curves follow.
class Prompts {
 public:
  explicit Prompts(uint64_t seed) : seed_(seed) {}

  // Recall falls from 1 as this power of the kept share.
  double recall(const ProfileSite& site, double share) const {
    const double typical = 0.25 + 0.1 * static_cast<double>(site.layer + site.head);
    return std::pow(share, typical * std::exp(0.25 * offset(site, 0)));
  }
  double density(const ProfileSite& site, double kappa) const {
    return std::pow(kappa, 0.8 * std::exp(0.2 * offset(site, 1)));
  }
  // Of the output's squared error.
  double effect(const ProfileSite& site, double share) const {
    const double typical = 0.002 * std::exp2(static_cast<double>(site.layer + site.head));
    return typical * std::exp(0.5 * offset(site, 2)) * (1 - share) * (1 - share);
  }
  // What a few random directions make of 1.
  double probed(const ProfileSite& site) const {
    constexpr int kProbes = 4;
    double sum = 0.0;
    for (int probe = 0; probe < kProbes; ++probe) {
      const double x = normal(combine_key(key_of(site), 7), static_cast<uint64_t>(probe));
      sum += x * x / kProbes;
    }
    return sum;
  }

 private:
  // Sites differ more than whole prompts: settings chosen by few prompts fit these.
  static constexpr double kOfPrompt = 0.3, kOfSite = 1.0;

  uint64_t key_of(const ProfileSite& site) const {
    uint64_t key = combine_key(seed_, static_cast<uint64_t>(site.prompt));
    for (const int64_t part : {site.step, site.layer, site.head}) {
      key = combine_key(key, static_cast<uint64_t>(part));
    }
    return key;
  }
  double offset(const ProfileSite& site, uint64_t curve) const {
    const uint64_t of_prompt = combine_key(seed_, static_cast<uint64_t>(site.prompt));
    return kOfPrompt * normal(of_prompt, curve) + kOfSite * normal(key_of(site), curve);
  }

  uint64_t seed_;
};

Profile profile_of(const Prompts& prompts, int64_t count, Method method) {
  Profile profile =
      make_profile({.prompts = count, .steps = kSteps, .layers = kLayers, .heads = kHeads});
  const size_t fractions = fraction_grid().size();
  if (method == Method::kBsa) {
    add_statistic(profile, "bsa_density", fractions, [&](const ProfileSite& site, size_t i) {
      return prompts.density(site, fraction_grid()[i]);
    });
    add_statistic(profile, "bsa_recall", fractions, [&](const ProfileSite& site, size_t i) {
      return prompts.recall(site, fraction_grid()[i]);
    });
    add_statistic(profile, "query_cosine", 64,
                  [](const ProfileSite&, size_t bin) { return bin == 63 ? 1000.0 : 0.0; });
    return profile;
  }
  add_coverage(profile, [&](const ProfileSite& site, double kept) {
    return prompts.recall(site, kept / kTiles);
  });
  add_statistic(profile, "effect_pooled", fractions, [&](const ProfileSite& site, size_t i) {
    const auto kept = static_cast<double>(kept_count(fraction_grid()[i], kTiles));
    return prompts.effect(site, kept / kTiles) * prompts.probed(site);
  });
  add_statistic(profile, "output_loss", 1, [](const ProfileSite&, size_t) { return 0.0; });
  return profile;
}

// What the plan does to a prompt.
struct Outcome {
  double density = 0.0, recall = 0.0, error = 0.0;
};

double line(std::span<const double> knots, double x, const std::function<double(double)>& y) {
  std::vector<double> values;
  for (const double knot : knots) values.push_back(y(knot));
  return interpolate(knots, values, x);
}

Outcome outcome_of(const Plan& plan, const Prompts& prompts, int64_t prompt) {
  Outcome result;
  constexpr double kSites = kSteps * kLayers * kHeads;
  for (int64_t step = 0; step < kSteps; ++step) {
    double loss = 0.0;
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      for (int64_t head = 0; head < kHeads; ++head) {
        const ProfileSite site{.prompt = prompt, .step = step, .layer = layer, .head = head};
        const PlanRule* rule = plan.rule_for(step, layer, head);
        if (rule == nullptr) {
          result.density += 1 / kSites;
          result.recall += 1 / kSites;
          continue;
        }
        if (const auto* bsa = std::get_if<BsaParams>(&rule->params)) {
          result.density += 0.5 / kSites * line(fraction_grid(), bsa->kv_keep, [&](double kappa) {
                              return prompts.density(site, kappa);
                            });
          result.recall += 1 / kSites * line(fraction_grid(), bsa->kv_keep, [&](double kappa) {
                             return prompts.recall(site, kappa);
                           });
          continue;
        }
        const auto kept = static_cast<double>(std::get<VsaParams>(rule->params).top_k);
        result.density += kept / kTiles / kSites;
        result.recall += 1 / kSites * line(kMeasured, kept, [&](double k) {
                           return prompts.recall(site, k / kTiles);
                         });
        loss += line(kMeasured, kept, [&](double k) { return prompts.effect(site, k / kTiles); });
      }
    }
    result.error += std::sqrt(loss) / kSteps;
  }
  return result;
}

struct Case {
  const char* name;
  Method method;
  DeriveTarget target;
  Granularity per;
  int64_t prompts;
};

void PrintTo(const Case& c, std::ostream* stream) { *stream << c.name; }

constexpr int kTrials = 500;

// How often the intervals held, and the mean of what happened over what was foretold.
struct Coverage {
  double density = 0.0, recall = 0.0, error = 0.0, error_ratio = 0.0;
};

double holds(const Expected& expected, double value) {
  constexpr double kRounding = 1e-6;  // statistics are stored as fp32
  return value >= expected.low - kRounding && value <= expected.high + kRounding ? 1.0 : 0.0;
}

Coverage measure(const Case& c) {
  Coverage coverage;
  for (int trial = 0; trial < kTrials; ++trial) {
    const Prompts prompts(combine_key(17, static_cast<uint64_t>(trial)));
    DeriveOptions options = testing::options_for(c.target.kind, c.target.value, c.per);
    options.method = c.method;
    const Plan plan = derive_plan(profile_of(prompts, c.prompts, c.method), options);
    const Outcome fresh = outcome_of(plan, prompts, c.prompts);
    coverage.density += holds(*plan.expected_density, fresh.density) / kTrials;
    coverage.recall += holds(*plan.expected_recall, fresh.recall) / kTrials;
    if (!plan.expected_error) continue;
    coverage.error += holds(*plan.expected_error, fresh.error) / kTrials;
    coverage.error_ratio += fresh.error / plan.expected_error->mean / kTrials;
  }
  return coverage;
}

class IntervalCoverage : public ::testing::TestWithParam<Case> {};

TEST_P(IntervalCoverage, HoldsAtTheStatedRate) {
  const Coverage found = measure(GetParam());
  constexpr double kStated = 0.95;
  const double slack = 3.0 * std::sqrt(kStated * (1.0 - kStated) / kTrials);
  EXPECT_NEAR(found.recall, kStated, slack);
  if (GetParam().method == Method::kBsa) {
    EXPECT_NEAR(found.density, kStated, slack);
    return;
  }
  EXPECT_NEAR(found.density, 1.0, 1e-9) << "top-k fixes it";
  if (found.error == 0.0) return;
  // The spread of what is measured holds the noise of the probes, too: never too narrow.
  EXPECT_GT(found.error, kStated - slack);
  EXPECT_NEAR(found.error_ratio, 1.0, 0.03);
}

constexpr DeriveTarget kRecall{TargetKind::kRecall, 0.8}, kDensity{TargetKind::kDensity, 0.2},
    kError{TargetKind::kError, 0.1};

INSTANTIATE_TEST_SUITE_P(
    Plans, IntervalCoverage,
    ::testing::Values(Case{"BsaDensity4", Method::kBsa, kDensity, Granularity::kHead, 4},
                      Case{"BsaRecall8", Method::kBsa, kRecall, Granularity::kHeadStep, 8},
                      Case{"VsaRecall4", Method::kVsa, kRecall, Granularity::kHeadStep, 4},
                      Case{"VsaDensity4", Method::kVsa, kDensity, Granularity::kHeadStep, 4},
                      Case{"VsaDensity8", Method::kVsa, kDensity, Granularity::kHead, 8},
                      Case{"VsaError4", Method::kVsa, kError, Granularity::kHead, 4}),
    [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace sparsescope
