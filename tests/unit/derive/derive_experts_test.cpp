// Plans of two experts: each expert has settings of its own, as if its steps were a profile of
// their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "derive/derive.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_coverage;
using testing::add_statistic;
using testing::error_of;
using ::testing::HasSubstr;
using testing::make_profile;
using testing::options_for;
using testing::ProfileShape;

constexpr int64_t kSteps = 6, kBoundary = 4, kTiles = 16;

Profile make_experts(const ProfileShape& shape) {
  Profile profile = make_profile(shape);
  for (int64_t step = 0; step < shape.steps; ++step) profile.expert.push_back(step >= kBoundary);
  return profile;
}

// Concave curves; the low-noise expert's mass is gathered, heads and steps differ.
double coverage(const ProfileSite& site, double kept) {
  const double gathered =
      (site.step >= kBoundary ? 3.0 : 0.3) + 0.5 * static_cast<double>(site.head) +
      0.2 * static_cast<double>(site.layer) + 0.1 * static_cast<double>(site.step);
  return 1.0 - std::pow(1.0 - kept / kTiles, 1.0 + gathered);
}

// The steps [first, end) of make_experts' profile, as a single transformer's.
Profile part_of_steps(int64_t first, int64_t end) {
  Profile profile = make_profile({.steps = end - first});
  add_coverage(profile, [&](ProfileSite site, double kept) {
    site.step += first;
    return coverage(site, kept);
  });
  return profile;
}

int64_t kept_tiles(const Plan& plan, int64_t step, int64_t layer, int64_t head) {
  const PlanRule* rule = plan.rule_for(step, layer, head);
  return rule == nullptr ? kTiles : std::get<VsaParams>(rule->params).top_k;
}

TEST(DeriveExperts, EachExpertIsDerivedFromItsOwnSteps) {
  Profile profile = make_experts({.steps = kSteps});
  add_coverage(profile, coverage);
  for (const Granularity per :
       {Granularity::kModel, Granularity::kLayer, Granularity::kHead, Granularity::kHeadStep}) {
    const DeriveOptions options = options_for(TargetKind::kRecall, 0.8, per);
    const Plan plan = derive_plan(profile, options);
    const Plan high = derive_plan(part_of_steps(0, kBoundary), options);
    const Plan low = derive_plan(part_of_steps(kBoundary, kSteps), options);

    EXPECT_EQ(plan.model.low_noise_from_step, kBoundary);
    for (const PlanRule& rule : plan.rules) {
      EXPECT_TRUE(rule.steps.last < kBoundary || rule.steps.first >= kBoundary);
    }
    for (int64_t step = 0; step < kSteps; ++step) {
      for (int64_t layer = 0; layer < 2; ++layer) {
        for (int64_t head = 0; head < 2; ++head) {
          const int64_t expected = step < kBoundary
                                       ? kept_tiles(high, step, layer, head)
                                       : kept_tiles(low, step - kBoundary, layer, head);
          EXPECT_EQ(kept_tiles(plan, step, layer, head), expected) << to_string(per) << " " << step;
        }
      }
    }
    EXPECT_GT(kept_tiles(plan, 0, 0, 0), kept_tiles(plan, kBoundary, 0, 0));
  }
}

TEST(DeriveExperts, AStepThatWasNotRecordedTakesTheNearestOfItsExpert) {
  Profile profile = make_experts({.steps = kSteps, .layers = 1, .heads = 1});
  profile.recorded = {1, 0, 0, 0, 1, 1};  // step 3 lies nearer to step 4 of the other expert
  add_coverage(profile, coverage);
  const Plan plan =
      derive_plan(profile, options_for(TargetKind::kRecall, 0.8, Granularity::kHeadStep));
  for (int64_t step = 1; step < kBoundary; ++step) {
    EXPECT_EQ(kept_tiles(plan, step, 0, 0), kept_tiles(plan, 0, 0, 0));
  }
  EXPECT_LT(kept_tiles(plan, kBoundary, 0, 0), kept_tiles(plan, 0, 0, 0));
}

TEST(DeriveExperts, AnExpertThatWasNotRecordedStaysDense) {
  Profile profile = make_experts({.steps = kSteps, .layers = 1, .heads = 1});
  profile.recorded = {1, 1, 1, 1, 0, 0};
  add_coverage(profile, coverage);
  for (const Granularity per : {Granularity::kModel, Granularity::kHeadStep}) {
    const Plan plan = derive_plan(profile, options_for(TargetKind::kRecall, 0.8, per));
    EXPECT_NE(plan.rule_for(kBoundary - 1, 0, 0), nullptr);
    EXPECT_EQ(plan.rule_for(kBoundary, 0, 0), nullptr);
    EXPECT_EQ(plan.rule_for(kSteps - 1, 0, 0), nullptr);
  }
}

TEST(DeriveExperts, OneThatRunsNoStepIsNoUnit) {
  for (const int64_t expert : {0, 1}) {
    Profile profile = make_profile({.steps = 3});
    profile.expert.assign(3, expert);
    add_coverage(profile, coverage);
    const Plan plan =
        derive_plan(profile, options_for(TargetKind::kRecall, 0.8, Granularity::kHead));
    EXPECT_EQ(plan.model.low_noise_from_step, expert == 0 ? 3 : 0);
    profile.expert.clear();
    const Plan single =
        derive_plan(profile, options_for(TargetKind::kRecall, 0.8, Granularity::kHead));
    EXPECT_FALSE(single.model.low_noise_from_step);
    for (int64_t head = 0; head < 2; ++head) {
      EXPECT_EQ(kept_tiles(plan, 2, 1, head), kept_tiles(single, 2, 1, head));
    }
  }
}

// temporal:1 gathers the mass of one expert, spatial:4,4 that of the other.
TEST(DeriveExperts, VmobaHasAPartitionPerLayerAndExpert) {
  Profile profile = make_experts({.steps = kSteps, .layers = 1});
  for (const auto& [partition, blocks, suited] :
       {std::tuple{"temporal:1", 4, 0}, {"spatial:4,4", 16, 1}}) {
    const std::string lead = std::string("vmoba/") + partition + "/";
    const auto share = [blocks](size_t i) { return static_cast<double>(i + 1) / blocks; };
    add_statistic(profile, lead + "density_topk", static_cast<size_t>(blocks),
                  [=](const ProfileSite&, size_t i) { return share(i); });
    add_statistic(profile, lead + "recall_topk", static_cast<size_t>(blocks),
                  [=](const ProfileSite& site, size_t i) {
                    const bool suits = (site.step >= kBoundary) == (suited == 1);
                    return suits ? std::min(1.0, 3.0 * share(i)) : share(i);
                  });
    for (const char* name : {"density_tau", "recall_tau"}) {
      add_statistic(profile, lead + name, 4 * tau_grid().size(),
                    [](const ProfileSite&, size_t) { return 1.0; });
    }
  }
  DeriveOptions options = options_for(TargetKind::kRecall, 0.7, Granularity::kHead);
  options.method = Method::kVmoba;
  const Plan plan = derive_plan(profile, options);
  const auto partition_at = [&](int64_t step, int64_t head) {
    return to_string(std::get<VmobaParams>(plan.rule_for(step, 0, head)->params).partition);
  };
  for (int64_t head = 0; head < 2; ++head) {
    EXPECT_EQ(partition_at(0, head), "temporal:1");
    EXPECT_EQ(partition_at(kBoundary - 1, head), "temporal:1");
    EXPECT_EQ(partition_at(kBoundary, head), "spatial:4,4");
  }
}

// One layer, two heads that weigh the other way round in the two experts.
double effect(const ProfileSite& site, double kept) {
  const double dropped = 1.0 - kept / kTiles;
  const bool heavy = site.head == (site.step >= kBoundary ? 1 : 0);
  return (heavy ? 0.16 : 0.01) * dropped * dropped;
}

Profile effect_experts(const std::vector<int64_t>& measured_steps) {
  Profile profile = make_experts({.steps = kSteps, .layers = 1});
  add_coverage(profile, [](const ProfileSite&, double kept) { return kept / kTiles; });
  const auto measured = [measured_steps](const ProfileSite& site) {
    return std::find(measured_steps.begin(), measured_steps.end(), site.step) !=
           measured_steps.end();
  };
  add_statistic(profile, "effect_pooled", fraction_grid().size(),
                [=](const ProfileSite& site, size_t i) {
                  const auto kept = static_cast<double>(kept_count(fraction_grid()[i], kTiles));
                  return measured(site) ? effect(site, kept) : std::nan("");
                });
  add_statistic(profile, "output_loss", 1, [=](const ProfileSite& site, size_t) {
    return measured(site) ? 0.0 : std::nan("");
  });
  return profile;
}

// Passes at the steps beside the boundary, where lending would be strongest.
TEST(DeriveExperts, StepsLendNoEffectsToTheOtherExpert) {
  constexpr double kDensity = 0.25;
  // Settings on the measured K alone, so that no effect is read between two of them.
  const std::vector<double> kept = {1, 2, 3, 4, 6, 8, 12, 16};
  const auto error = [](int64_t step, double first, double second) {
    return std::sqrt(effect({0, 0, step, 0, 0}, first) + effect({0, 0, step, 0, 1}, second));
  };
  double least = std::numeric_limits<double>::infinity();
  for (const double a : kept) {
    for (const double b : kept) {
      for (const double c : kept) {
        for (const double d : kept) {
          const double tiles = kBoundary * (a + b) + (kSteps - kBoundary) * (c + d);
          if (tiles > kDensity * 2 * kSteps * kTiles) continue;
          least = std::min(
              least, (kBoundary * error(0, a, b) + (kSteps - kBoundary) * error(kBoundary, c, d)) /
                         kSteps);
        }
      }
    }
  }
  const Plan plan = derive_plan(effect_experts({kBoundary - 1, kBoundary}),
                                options_for(TargetKind::kDensity, kDensity, Granularity::kHead));
  const auto tiles = [&](int64_t step, int64_t head) {
    return static_cast<double>(kept_tiles(plan, step, 0, head));
  };
  const double found =
      (kBoundary * error(0, tiles(0, 0), tiles(0, 1)) +
       (kSteps - kBoundary) * error(kBoundary, tiles(kBoundary, 0), tiles(kBoundary, 1))) /
      kSteps;
  EXPECT_LE(found, 1.001 * least);  // every K is a choice: it may do better
  EXPECT_NEAR(plan.expected_error->mean, found, 0.01 * found);
  EXPECT_GT(tiles(0, 0), tiles(0, 1));
  EXPECT_LT(tiles(kBoundary, 0), tiles(kBoundary, 1));
}

TEST(DeriveExperts, AnExpertWithoutEffectsTakesThoseOfTheOther) {
  const Plan plan =
      derive_plan(effect_experts({1}), options_for(TargetKind::kDensity, 0.25, Granularity::kHead));
  EXPECT_GT(kept_tiles(plan, 0, 0, 0), kept_tiles(plan, 0, 0, 1));
  EXPECT_GT(kept_tiles(plan, kBoundary, 0, 0), kept_tiles(plan, kBoundary, 0, 1));
}

TEST(DeriveExperts, EffectsOfAnotherBoundaryAreRefused) {
  const Profile profile = effect_experts({0, kBoundary});
  Profile other = profile;
  other.expert.assign(kSteps, 0);
  DeriveOptions options = options_for(TargetKind::kDensity, 0.25, Granularity::kHead);
  options.effects = &other;
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { derive_plan(profile, options); }),
              HasSubstr("from step 4 on, found 6"));
}

}  // namespace
}  // namespace sparsescope
