// Budgets split by effects on the model's output, against all combinations of settings. 16 full
// tiles: the f grid measures K = 1, 2, 3, 4, 6, 8, 12, 16, and effects are linear between them.
#include "derive/effect_allocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "derive/derive.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_coverage;
using testing::add_statistic;
using testing::make_profile;
using testing::options_for;
using testing::ProfileShape;

constexpr int64_t kTiles = 16;
constexpr double kMeasured[] = {1, 2, 3, 4, 6, 8, 12, 16};

using Effect = std::function<double(const ProfileSite& site, double kept)>;

Profile effect_profile(const ProfileShape& shape, const Effect& effect, double loss = 0.0) {
  Profile profile = make_profile(shape);
  add_coverage(profile, [](const ProfileSite&, double kept) { return kept / kTiles; });
  add_statistic(profile, "effect_pooled", fraction_grid().size(),
                [&](const ProfileSite& site, size_t i) {
                  return effect(site, static_cast<double>(kept_count(fraction_grid()[i], kTiles)));
                });
  add_statistic(profile, "output_loss", 1, [&](const ProfileSite&, size_t) { return loss; });
  return profile;
}

double read(const Effect& effect, const ProfileSite& site, double kept) {
  const auto above = std::upper_bound(std::begin(kMeasured), std::end(kMeasured), kept);
  if (above == std::end(kMeasured)) return effect(site, kTiles);
  const double low = *(above - 1), share = (kept - low) / (*above - low);
  return (1 - share) * effect(site, low) + share * effect(site, *above);
}

int64_t kept_tiles(const Plan& plan, int64_t step, int64_t layer, int64_t head) {
  const PlanRule* rule = plan.rule_for(step, layer, head);
  return rule == nullptr ? kTiles : std::get<VsaParams>(rule->params).top_k;
}

// Tiles of every (layer, head); all of the heads of one step.
using Kept = std::vector<int64_t>;

// Every combination for `units` units whose tiles sum to no more than the budget.
void for_each_choice(size_t units, int64_t budget, const std::function<void(const Kept&)>& visit) {
  Kept kept(units, 1);
  for (;;) {
    if (std::accumulate(kept.begin(), kept.end(), int64_t{0}) <= budget) visit(kept);
    size_t unit = 0;
    while (unit < units && kept[unit] == kTiles) kept[unit++] = 1;
    if (unit == units) return;
    ++kept[unit];
  }
}

double squared_error(const Effect& effect, const ProfileSite& pass, const Kept& kept,
                     int64_t heads) {
  double loss = 0.0;
  for (size_t unit = 0; unit < kept.size(); ++unit) {
    ProfileSite site = pass;
    site.layer = static_cast<int64_t>(unit) / heads;
    site.head = static_cast<int64_t>(unit) % heads;
    loss += read(effect, site, static_cast<double>(kept[unit]));
  }
  return loss;
}

// Falls as the square of what is dropped, with a weight of its own for every unit.
double quadratic(const ProfileSite& site, double kept) {
  const auto unit = static_cast<uint64_t>(2 * site.layer + site.head);
  const double weight = 0.001 * std::exp2(8.0 * uniform(3, unit)), dropped = 1.0 - kept / kTiles;
  return weight * dropped * dropped;
}

Kept kept_of(const Plan& plan, int64_t step, int64_t layers, int64_t heads) {
  Kept kept;
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (int64_t head = 0; head < heads; ++head) {
      kept.push_back(kept_tiles(plan, step, layer, head));
    }
  }
  return kept;
}

TEST(EffectAllocation, OneStepIsTheBestOfAllCombinations) {
  const Profile profile = effect_profile({.steps = 1}, quadratic);
  for (const double density : {0.0625, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0}) {
    const auto budget = static_cast<int64_t>(density * 4 * kTiles);
    double least = std::numeric_limits<double>::infinity();
    for_each_choice(4, budget, [&](const Kept& kept) {
      least = std::min(least, squared_error(quadratic, {}, kept, 2));
    });

    const Plan plan =
        derive_plan(profile, options_for(TargetKind::kDensity, density, Granularity::kHead));

    const Kept found = kept_of(plan, 0, 2, 2);
    EXPECT_NEAR(squared_error(quadratic, {}, found, 2), least, 1e-8) << density;
    EXPECT_NEAR(plan.expected_error->mean, std::sqrt(std::max(least, 1e-12)), 1e-6) << density;
    EXPECT_LE(std::accumulate(found.begin(), found.end(), int64_t{0}), budget);
  }
}

TEST(EffectAllocation, ErrorIsKeptAtTheLeastDensity) {
  const Profile profile = effect_profile({.steps = 1}, quadratic);
  for (const double error : {0.02, 0.05, 0.1, 0.2}) {
    int64_t least = 4 * kTiles;
    for_each_choice(4, least, [&](const Kept& kept) {
      if (std::sqrt(squared_error(quadratic, {}, kept, 2)) > error) return;
      least = std::min(least, std::accumulate(kept.begin(), kept.end(), int64_t{0}));
    });

    const Plan plan =
        derive_plan(profile, options_for(TargetKind::kError, error, Granularity::kHead));

    const Kept found = kept_of(plan, 0, 2, 2);
    EXPECT_EQ(std::accumulate(found.begin(), found.end(), int64_t{0}), least) << error;
    EXPECT_LE(plan.expected_error->mean, error);
    EXPECT_NEAR(plan.expected_error->mean, std::sqrt(squared_error(quadratic, {}, found, 2)), 1e-6);
  }
}

// Prompts and steps that weigh heads differently: the mean error over them, steps lending each
// other half of their weight.
TEST(EffectAllocation, ManyPassesComeNearTheLeastMeanError) {
  const Effect effect = [](const ProfileSite& site, double kept) {
    const auto key = static_cast<uint64_t>(site.prompt * 100 + site.step * 10);
    const auto unit = static_cast<uint64_t>(2 * site.layer + site.head);
    const double weight = 0.001 * std::exp2(6.0 * uniform(5, key + unit)),
                 dropped = 1.0 - kept / kTiles;
    return weight * dropped * dropped;
  };
  const Profile profile = effect_profile({.prompts = 3}, effect);
  const auto mean_error = [&](const Kept& kept) {
    double sum = 0.0;
    for (int64_t prompt = 0; prompt < 3; ++prompt) {
      for (int64_t step = 0; step < 2; ++step) {
        // Both steps weigh a pass of their own by 1 and the other's by 1/2.
        sum += std::sqrt(squared_error(effect, {.prompt = prompt, .step = step}, kept, 2)) / 6;
      }
    }
    return sum;
  };
  for (const double density : {0.125, 0.25, 0.5}) {
    double least = std::numeric_limits<double>::infinity();
    for_each_choice(4, static_cast<int64_t>(density * 4 * kTiles),
                    [&](const Kept& kept) { least = std::min(least, mean_error(kept)); });
    const Plan plan =
        derive_plan(profile, options_for(TargetKind::kDensity, density, Granularity::kHead));
    EXPECT_LE(mean_error(kept_of(plan, 0, 2, 2)), 1.01 * least) << density;
  }
}

// Each of two prompts is foretold by the settings that are best for the other.
TEST(EffectAllocation, APromptIsForetoldByWhatWasChosenWithoutIt) {
  const Effect effect = [](const ProfileSite& site, double kept) {
    const double dropped = 1.0 - kept / kTiles;
    return (site.head == site.prompt ? 0.08 : 0.01 + 0.01 * static_cast<double>(site.prompt)) *
           dropped * dropped;
  };
  const Profile profile = effect_profile({.prompts = 2, .steps = 1, .layers = 1}, effect);
  const auto error = [&](int64_t prompt, const Kept& kept) {
    return std::sqrt(squared_error(effect, {.prompt = prompt}, kept, 2));
  };
  constexpr int64_t kBudget = 10;
  double ratio[2];
  for (int64_t prompt = 0; prompt < 2; ++prompt) {
    Kept best{1, 1};
    for_each_choice(2, kBudget, [&](const Kept& kept) {
      if (error(1 - prompt, kept) < error(1 - prompt, best)) best = kept;
    });
    ratio[prompt] = error(prompt, best) / error(1 - prompt, best);
    EXPECT_GT(ratio[prompt], 1.3) << "the example tells nothing";
  }

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kDensity, kBudget / 32.0, Granularity::kHead));

  const Kept kept = kept_of(plan, 0, 1, 2);
  const double in_sample = (error(0, kept) + error(1, kept)) / 2;
  // half of what a prompt has more than the other: it is one of two
  EXPECT_NEAR(plan.expected_error->mean, in_sample * (2 + ratio[0] + ratio[1]) / 4, 1e-6);
  EXPECT_LE(plan.expected_error->low, plan.expected_error->mean);
  EXPECT_GE(plan.expected_error->high, plan.expected_error->mean);
}

// At the dense step heads weigh the other way round, which must not matter.
TEST(EffectAllocation, DenseStepsHaveNoErrorAndLendNoWeight) {
  const Effect effect = [](const ProfileSite& site, double kept) {
    const double dropped = 1.0 - kept / kTiles;
    return (site.head == (site.step == 0 ? 1 : 0) ? 0.16 : 0.01) * dropped * dropped;
  };
  const Profile profile = effect_profile({.steps = 4, .layers = 1}, effect);
  DeriveOptions options = options_for(TargetKind::kDensity, 0.25 + 0.75 * 0.25, Granularity::kHead);
  options.dense_first_steps = 1;

  const Plan plan = derive_plan(profile, options);

  Kept best;
  double least = std::numeric_limits<double>::infinity();
  for_each_choice(2, 8, [&](const Kept& kept) {
    const double loss = squared_error(effect, {.step = 1}, kept, 2);
    if (loss >= least) return;
    least = loss;
    best = kept;
  });
  EXPECT_EQ(plan.dense_steps, std::vector<int64_t>{0});
  EXPECT_EQ(plan.rule_for(0, 0, 0), nullptr);
  EXPECT_EQ(kept_of(plan, 1, 1, 2), best);
  EXPECT_NEAR(plan.expected_density->mean, options.target.value, 1e-9);
  EXPECT_NEAR(plan.expected_error->mean, 0.75 * std::sqrt(least), 1e-6);
}

TEST(EffectAllocation, DenseLayersTakeTheirShareOfTheBudget) {
  const Profile profile = effect_profile({.steps = 1}, quadratic);
  DeriveOptions options = options_for(TargetKind::kDensity, 0.625, Granularity::kHead);
  options.dense_layers = std::vector<int64_t>{1};
  const Plan plan = derive_plan(profile, options);
  EXPECT_EQ(plan.rule_for(0, 1, 0), nullptr);
  const Kept found = kept_of(plan, 0, 2, 2);
  EXPECT_EQ(found[0] + found[1], 8);  // a quarter of one layer
  EXPECT_NEAR(plan.expected_error->mean, std::sqrt(squared_error(quadratic, {}, found, 2)), 1e-6);
}

TEST(EffectAllocation, ALayerThatTheDataWantsDenseIsNamed) {
  const Effect effect = [](const ProfileSite& site, double kept) {
    return (site.layer == 1 ? 1.0 : 1e-6) * (1.0 - kept / kTiles);
  };
  const Profile profile = effect_profile({.steps = 1, .layers = 2}, effect);
  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kDensity, 0.5 + 0.5 * 0.25, Granularity::kHead));
  EXPECT_EQ(plan.dense_layers, std::vector<int64_t>{1});
  EXPECT_TRUE(plan.dense_steps.empty());
  for (const PlanRule& rule : plan.rules) EXPECT_EQ(rule.layers, (IndexRange{0, 0}));
  EXPECT_NEAR(plan.expected_density->mean, 0.625, 1e-9);
}

TEST(EffectAllocation, EffectsOfDenseStepsAloneAreRefused) {
  Profile profile = effect_profile({.steps = 2, .layers = 1, .heads = 1}, quadratic);
  for (const char* name : {"effect_pooled", "output_loss"}) {
    std::vector<float>& values = profile.arrays.at(name).values;
    std::fill(values.begin() + std::ssize(values) / 2, values.end(), std::nanf(""));
  }
  DeriveOptions options = options_for(TargetKind::kDensity, 0.75, Granularity::kHead);
  options.dense_first_steps = 1;
  try {
    derive_plan(profile, options);
    FAIL() << "nothing is known of step 1";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("dense steps"));
  }
}

// Around a plan that keeps 4 tiles everywhere: more tiles take from its loss, fewer add.
TEST(EffectAllocation, AroundAPlanChangesAreCountedFromItsLoss) {
  constexpr double kLoss = 0.09;
  const Effect effect = [](const ProfileSite& site, double kept) {
    return quadratic(site, kept) - quadratic(site, 4);
  };
  const Profile profile = effect_profile({.steps = 1}, effect, kLoss);
  double least = std::numeric_limits<double>::infinity();
  for_each_choice(4, 4 * 4, [&](const Kept& kept) {
    least = std::min(least, kLoss + squared_error(effect, {}, kept, 2));
  });
  ASSERT_LT(least, kLoss) << "there is something to gain at the plan's own density";

  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kDensity, 0.25, Granularity::kHead));

  const double found = kLoss + squared_error(effect, {}, kept_of(plan, 0, 2, 2), 2);
  EXPECT_NEAR(found, least, 1e-8);
  EXPECT_NEAR(plan.expected_error->mean, std::sqrt(least), 1e-6);
}

TEST(EffectAllocation, ChangesDoNotTakeAwayMoreThanMostOfTheLoss) {
  const Effect effect = [](const ProfileSite&, double kept) { return -0.03 * (kept - 4) / 12; };
  const Profile profile = effect_profile({.steps = 1}, effect, 0.04);
  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kDensity, 0.9, Granularity::kHead));
  EXPECT_NEAR(plan.expected_error->mean, std::sqrt(0.05 * 0.04), 1e-6);
}

// 1,024 tiles: the least measured K is 16, and nothing is known of fewer.
TEST(EffectAllocation, FewerTilesThanWereMeasuredAreNoChoice) {
  Profile profile = make_profile({.grid = {16, 64, 64}, .steps = 1, .layers = 1, .heads = 2});
  add_coverage(profile, [](const ProfileSite&, double kept) { return kept / 1024; });
  add_statistic(profile, "effect_pooled", fraction_grid().size(),
                [](const ProfileSite& site, size_t i) {
                  return (site.head == 0 ? 0.01 : 0.0001) * (1.0 - fraction_grid()[i]);
                });
  add_statistic(profile, "output_loss", 1, [](const ProfileSite&, size_t) { return 0.0; });
  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kDensity, 0.1, Granularity::kHead));
  EXPECT_GT(kept_tiles(plan, 0, 0, 0), 102);
  EXPECT_GE(kept_tiles(plan, 0, 0, 1), 16);
  EXPECT_THROW(derive_plan(profile, options_for(TargetKind::kDensity, 0.01, Granularity::kHead)),
               Error);
}

// The heads of a layer share a partition: temporal:1 (4 blocks) suits head 0, spatial:4,4 (16
// blocks) suits head 1, by more.
TEST(EffectAllocation, HeadsOfALayerShareThePartition) {
  Profile profile = make_profile({.steps = 1, .layers = 1});
  const auto effect = [](int64_t partition, int64_t head, double density) {
    const double suited = head == 0 ? 0.02 : 0.08;
    return (head == partition ? 0.1 * suited : suited) * (1 - density) * (1 - density);
  };
  const int64_t blocks[] = {4, 16};
  for (int64_t partition = 0; partition < 2; ++partition) {
    const auto count = static_cast<size_t>(blocks[partition]);
    const std::string lead = partition == 0 ? "vmoba/temporal:1/" : "vmoba/spatial:4,4/";
    const auto share = [=](size_t i) { return static_cast<double>(i + 1) / count; };
    for (const char* name : {"density_topk", "recall_topk"}) {
      add_statistic(profile, lead + name, count,
                    [=](const ProfileSite&, size_t i) { return share(i); });
    }
    add_statistic(profile, lead + "effect_topk", count, [=](const ProfileSite& site, size_t i) {
      return effect(partition, site.head, share(i));
    });
    for (const char* name : {"density_tau", "recall_tau", "effect_tau"}) {
      add_statistic(profile, lead + name, 4 * tau_grid().size(),
                    [](const ProfileSite&, size_t) { return 1.0; });
    }
  }
  add_statistic(profile, "output_loss", 1, [](const ProfileSite&, size_t) { return 0.0; });
  double least = std::numeric_limits<double>::infinity();
  for (int64_t partition = 0; partition < 2; ++partition) {
    const auto count = static_cast<double>(blocks[partition]);
    for (double a = 1; a <= count; ++a) {
      for (double b = 1; a + b <= count; ++b) {  // half of all pairs
        least = std::min(least, effect(partition, 0, a / count) + effect(partition, 1, b / count));
      }
    }
  }
  DeriveOptions options = options_for(TargetKind::kDensity, 0.5, Granularity::kHead);
  options.method = Method::kVmoba;

  const Plan plan = derive_plan(profile, options);

  for (const int64_t head : {0, 1}) {
    const auto& params = std::get<VmobaParams>(plan.rule_for(0, 0, head)->params);
    EXPECT_EQ(to_string(params.partition), "spatial:4,4");
  }
  EXPECT_NEAR(plan.expected_error->mean, std::sqrt(least), 1e-6);
}

}  // namespace
}  // namespace sparsescope
