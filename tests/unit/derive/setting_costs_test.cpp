// Plans by predicted time, from costs whose crossover is known by hand. 16 full tiles: VSA's
// settings keep K = 1 to 16 of them.
#include "derive/setting_costs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/rng.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

using testing::add_coverage;
using testing::add_statistic;
using testing::make_profile;
using testing::options_for;
using testing::ProfileShape;

constexpr int64_t kTiles = 16;

// time = at_zero + slope * density, half of at_zero selection
void add_series(KernelCosts& costs, const MethodParams& kind, double at_zero, double slope,
                double spread = 0.0) {
  CostSeries series{kind, {}};
  for (const double density : {0.25, 0.75}) {
    series.points.push_back({density, at_zero / 2, at_zero / 2 + slope * density, 2 * spread});
  }
  costs.series.push_back(series);
}

KernelCosts costs_of(const Profile& profile) {
  KernelCosts costs{.head_dim = 64, .grid = profile.grid, .tile = profile.tile};
  costs.machine = {{"cpu", "by hand"}, {"kernels", "none"}};
  costs.dense_ms = 1.0;
  return costs;
}

KernelCosts vsa_costs(const Profile& profile, double at_zero, double slope, double spread = 0.0) {
  KernelCosts costs = costs_of(profile);
  add_series(costs, VsaParams{}, at_zero, slope, spread);
  return costs;
}

double weight_of(const ProfileSite& site) {
  return 0.001 * std::exp2(8.0 * uniform(3, static_cast<uint64_t>(2 * site.layer + site.head)));
}

// Effects fall as the square of what is dropped, heads weigh differently; so does recall.
Profile vsa_profile(bool with_effects, const ProfileShape& shape = {.steps = 1}) {
  Profile profile = make_profile(shape);
  add_coverage(profile, [](const ProfileSite& site, double kept) {
    const double dropped = 1.0 - kept / kTiles;
    return 1.0 - dropped * dropped * (0.3 + 30 * weight_of(site)) / 8.0;
  });
  if (!with_effects) return profile;
  add_statistic(profile, "effect_pooled", fraction_grid().size(),
                [](const ProfileSite& site, size_t i) {
                  const auto kept = static_cast<double>(kept_count(fraction_grid()[i], kTiles));
                  const double dropped = 1.0 - kept / kTiles;
                  return weight_of(site) * dropped * dropped;
                });
  add_statistic(profile, "output_loss", 1, [](const ProfileSite&, size_t) { return 0.0; });
  return profile;
}

Plan derive_with(const Profile& profile, const KernelCosts* costs, TargetKind kind, double value,
                 Granularity per = Granularity::kHead) {
  DeriveOptions options = options_for(kind, value, per);
  options.costs = costs;
  return derive_plan(profile, options);
}

int64_t kept_tiles(const Plan& plan, int64_t layer, int64_t head) {
  const PlanRule* rule = plan.rule_for(0, layer, head);
  return rule == nullptr ? kTiles : std::get<VsaParams>(rule->params).top_k;
}

// Where time is the density, a speed-up is a density.
TEST(SettingCosts, TimeThatIsTheDensityGivesThePlanOfThatDensity) {
  for (const bool by_effect : {false, true}) {
    const Profile profile = vsa_profile(by_effect);
    const KernelCosts costs = vsa_costs(profile, 0.0, 1.0);
    for (const double density : {0.125, 0.25, 0.5, 0.625}) {
      const Plan plain = derive_with(profile, nullptr, TargetKind::kDensity, density);
      const Plan timed = derive_with(profile, &costs, TargetKind::kSpeedup, 1.0 / density);
      // A head that keeps all of its tiles is dense there, in other words the same.
      for (int64_t layer = 0; layer < 2; ++layer) {
        for (int64_t head = 0; head < 2; ++head) {
          EXPECT_EQ(kept_tiles(timed, layer, head), kept_tiles(plain, layer, head)) << density;
        }
      }
      EXPECT_NEAR(timed.expected_speedup->mean, 1.0 / plain.expected_density->mean, 1e-6);
      EXPECT_FALSE(plain.expected_speedup);
    }
  }
}

// 0.2 + 1.1 d < 1 - 0.03 below d = 0.7: at most 11 of 16 tiles.
TEST(SettingCosts, NoPlanHasASettingThatDoesNotPay) {
  constexpr double kAtZero = 0.2, kSlope = 1.1, kSpread = 0.03;
  for (const bool by_effect : {false, true}) {
    const Profile profile = vsa_profile(by_effect, {.steps = 2});
    const KernelCosts costs = vsa_costs(profile, kAtZero, kSlope, kSpread);
    std::vector<DeriveTarget> targets{{TargetKind::kSpeedup, 1.1},  {TargetKind::kSpeedup, 1.5},
                                      {TargetKind::kSpeedup, 2.5},  {TargetKind::kDensity, 0.3},
                                      {TargetKind::kDensity, 0.9},  {TargetKind::kRecall, 0.5},
                                      {TargetKind::kRecall, 0.997}, {TargetKind::kRecall, 1.0}};
    if (by_effect) {
      for (const double error : {0.02, 0.1, 0.3}) targets.push_back({TargetKind::kError, error});
    }
    for (const DeriveTarget& target : targets) {
      for (const Granularity per :
           {Granularity::kModel, Granularity::kLayer, Granularity::kHead, Granularity::kHeadStep}) {
        const Plan plan = derive_with(profile, &costs, target.kind, target.value, per);
        for (const PlanRule& rule : plan.rules) {
          EXPECT_LE(std::get<VsaParams>(rule.params).top_k, 11) << to_string(target);
        }
        if (target.kind == TargetKind::kSpeedup) {
          EXPECT_GE(plan.expected_speedup->mean, target.value - 1e-6);
        }
        if (target.kind == TargetKind::kRecall) {
          EXPECT_GE(plan.expected_recall->mean, target.value - 1e-6);
        }
        if (target.kind == TargetKind::kDensity) {
          EXPECT_LE(plan.expected_density->mean, target.value + 1e-6);
        }
      }
    }
  }
}

// Calls visit(kept tiles of four heads) for every combination.
template <typename Visit>
void for_each_kept(const Visit& visit) {
  std::array<int64_t, 4> kept{1, 1, 1, 1};
  for (;;) {
    visit(kept);
    size_t unit = 0;
    while (unit < kept.size() && kept[unit] == kTiles) kept[unit++] = 1;
    if (unit == kept.size()) return;
    ++kept[unit];
  }
}

double loss_of(const std::array<int64_t, 4>& kept) {
  double loss = 0.0;
  for (size_t unit = 0; unit < kept.size(); ++unit) {
    // Between the measured K = 1, 2, 3, 4, 6, 8, 12, 16 effects are linear.
    constexpr std::array<double, 8> kMeasured{1, 2, 3, 4, 6, 8, 12, 16};
    const auto x = static_cast<double>(kept[unit]);
    const auto above = std::find_if(kMeasured.begin(), kMeasured.end(),
                                    [&](double measured) { return measured >= x; });
    const double high = *above, low = above == kMeasured.begin() ? high : *(above - 1);
    const auto square = [](double k) { return (1 - k / kTiles) * (1 - k / kTiles); };
    const double share = high > low ? (x - low) / (high - low) : 0.0;
    const int64_t index = static_cast<int64_t>(unit);
    loss += weight_of({.layer = index / 2, .head = index % 2}) *
            (square(low) + share * (square(high) - square(low)));
  }
  return loss;
}

// A fixed cost for every sparse head: 0.25 + 0.75 d, all 16 tiles meaning dense.
double time_of(const std::array<int64_t, 4>& kept) {
  double time = 0.0;
  for (const int64_t k : kept) time += (0.25 + 0.75 * static_cast<double>(k) / kTiles) / 4;
  return time;
}

std::array<int64_t, 4> kept_of(const Plan& plan) {
  return {kept_tiles(plan, 0, 0), kept_tiles(plan, 0, 1), kept_tiles(plan, 1, 0),
          kept_tiles(plan, 1, 1)};
}

TEST(SettingCosts, ATimeBudgetIsSpentAsTheBestOfAllCombinations) {
  const Profile profile = vsa_profile(true);
  const KernelCosts costs = vsa_costs(profile, 0.25, 0.75);
  for (const double speedup : {1.2, 1.5, 2.0, 3.0}) {
    double least = std::numeric_limits<double>::infinity();
    for_each_kept([&](const auto& kept) {
      if (time_of(kept) <= 1.0 / speedup + 1e-9) least = std::min(least, loss_of(kept));
    });
    const Plan plan = derive_with(profile, &costs, TargetKind::kSpeedup, speedup);
    EXPECT_LE(time_of(kept_of(plan)), 1.0 / speedup + 1e-9);
    EXPECT_NEAR(loss_of(kept_of(plan)), least, 1e-8) << speedup;
    EXPECT_NEAR(plan.expected_speedup->mean, 1.0 / time_of(kept_of(plan)), 1e-6);
  }
}

TEST(SettingCosts, AnErrorIsKeptInTheLeastTime) {
  const Profile profile = vsa_profile(true);
  const KernelCosts costs = vsa_costs(profile, 0.25, 0.75);
  for (const double error : {0.05, 0.1, 0.2}) {
    double least = 1.0;
    for_each_kept([&](const auto& kept) {
      if (std::sqrt(loss_of(kept)) <= error) least = std::min(least, time_of(kept));
    });
    const Plan plan = derive_with(profile, &costs, TargetKind::kError, error);
    EXPECT_NEAR(time_of(kept_of(plan)), least, 1e-9) << error;
    EXPECT_LE(std::sqrt(loss_of(kept_of(plan))), error + 1e-6);
  }
}

// A selection that takes longer than dense attention.
TEST(SettingCosts, WhereNothingPaysThePlanIsDenseAndSaysWhy) {
  for (const bool by_effect : {false, true}) {
    const Profile profile = vsa_profile(by_effect);
    const KernelCosts costs = vsa_costs(profile, 1.2, 0.5);
    for (const DeriveTarget& target :
         {DeriveTarget{TargetKind::kSpeedup, 1.5}, DeriveTarget{TargetKind::kDensity, 0.25},
          DeriveTarget{TargetKind::kRecall, 0.9}}) {
      const Plan plan = derive_with(profile, &costs, target.kind, target.value);
      EXPECT_EQ(plan.method, Method::kDense);
      EXPECT_TRUE(plan.rules.empty());
      EXPECT_EQ(plan.expected_speedup->mean, 1.0);
      EXPECT_EQ(plan.expected_density->mean, 1.0);
      EXPECT_EQ(plan.expected_error->high, 0.0);
      // 1.2 + 0.5 / 16, of which half of 1.2 selects
      EXPECT_THAT(
          plan.evidence.at("cost").at("dense_because").get<std::string>(),
          ::testing::AllOf(HasSubstr("1.231"), HasSubstr("0.600"), HasSubstr("at no density")));
    }
  }
}

TEST(SettingCosts, TheLeastMeasuredDensityMayLieAboveTheCrossover) {
  const Profile profile = vsa_profile(false);
  // Pays below d = 0.05; the least setting keeps 1 of 16.
  const KernelCosts costs = vsa_costs(profile, 0.95, 1.0);
  const Plan plan = derive_with(profile, &costs, TargetKind::kRecall, 0.9);
  EXPECT_EQ(plan.method, Method::kDense);
  EXPECT_THAT(plan.evidence.at("cost").at("dense_because").get<std::string>(),
              HasSubstr("below a density of 0.0500"));
}

TEST(SettingCosts, SpeedupsThatCannotBeHadAreRefusedWithTheFastest) {
  for (const bool by_effect : {false, true}) {
    const Profile profile = vsa_profile(by_effect);
    const KernelCosts costs = vsa_costs(profile, 0.25, 0.75);
    // 1 / (0.25 + 0.75 / 16) = 3.368
    EXPECT_THAT(error_of(ErrorKind::kUsage,
                         [&] { derive_with(profile, &costs, TargetKind::kSpeedup, 3.5); }),
                HasSubstr("3.368"));
  }
}

TEST(SettingCosts, CostsMustBeThereAndFit) {
  const Profile profile = vsa_profile(false);
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [&] { derive_with(profile, nullptr, TargetKind::kSpeedup, 1.5); }),
              HasSubstr("--costs"));
  KernelCosts costs = vsa_costs(profile, 0.1, 0.9);
  costs.grid = {8, 16, 16};
  EXPECT_THAT(
      error_of(ErrorKind::kUsage, [&] { derive_with(profile, &costs, TargetKind::kSpeedup, 1.5); }),
      HasSubstr("grid"));
  costs = costs_of(profile);
  add_series(costs, BsaParams{}, 0.1, 0.9);
  EXPECT_THAT(
      error_of(ErrorKind::kUsage, [&] { derive_with(profile, &costs, TargetKind::kSpeedup, 1.5); }),
      HasSubstr("method vsa"));
}

// 0.1 + 0.9 d at 8 of 16 tiles for one of two steps: (1 + 0.55) / 2, and half of the spread.
TEST(SettingCosts, TheIntervalOfAFixedDensityIsThatOfTheCosts) {
  const Profile profile = vsa_profile(false, {.prompts = 3, .steps = 2});
  const KernelCosts costs = vsa_costs(profile, 0.1, 0.9, 0.04);
  DeriveOptions options = options_for(TargetKind::kDensity, 0.75, Granularity::kModel);
  options.dense_first_steps = 1;
  options.costs = &costs;
  const Plan plan = derive_plan(profile, options);
  EXPECT_NEAR(plan.expected_speedup->mean, 1 / 0.775, 1e-6);
  EXPECT_NEAR(plan.expected_speedup->low, 1 / (0.775 + 0.02), 1e-6);
  EXPECT_NEAR(plan.expected_speedup->high, 1 / (0.775 - 0.02), 1e-6);
  const Json& time = plan.evidence.at("cost").at("time");
  EXPECT_NEAR(time.at("attention_share").get<double>(), 0.775, 1e-6);
  EXPECT_EQ(time.at("measured_on").at("cpu"), "by hand");
  // 4 S^2 D a head, S = 1024, D = 64; 2 steps, 2 layers, 2 heads
  EXPECT_EQ(plan.evidence.at("cost").at("flops").at("attention_dense").get<double>(),
            8.0 * 4 * 1024 * 1024 * 64);
}

// Both partitions reach the recall, the sparser one at the greater cost.
TEST(SettingCosts, VmobaTakesWhatIsFasterAndNotWhatIsSparser) {
  Profile profile = make_profile({});
  for (const auto& [partition, blocks] :
       {std::pair<std::string, size_t>{"temporal:1", 4}, {"spatial:4,4", 16}}) {
    const std::string lead = "vmoba/" + partition + "/";
    const auto share = [count = static_cast<double>(blocks)](const ProfileSite&, size_t i) {
      return static_cast<double>(i + 1) / count;
    };
    add_statistic(profile, lead + "density_topk", blocks, share);
    add_statistic(profile, lead + "recall_topk", blocks,
                  [=](const ProfileSite& site, size_t i) { return i > 0 ? 1.0 : share(site, i); });
    for (const char* name : {"density_tau", "recall_tau"}) {
      add_statistic(profile, lead + name, 4 * 19, [](const ProfileSite&, size_t) { return 1.0; });
    }
  }
  KernelCosts costs = costs_of(profile);
  for (const auto& [partition, at_zero] :
       {std::pair{"temporal:1", 0.05}, std::pair{"spatial:4,4", 0.6}}) {
    VmobaParams kind{.partition = parse_partition(partition)};
    add_series(costs, kind, at_zero, 1.0);
    kind.select = VmobaSelect::kThreshold;
    for (const VmobaPool pool :
         {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
      kind.pool = pool;
      add_series(costs, kind, at_zero, 1.0);
    }
  }
  DeriveOptions options = options_for(TargetKind::kRecall, 0.99, Granularity::kLayer);
  options.method = Method::kVmoba;
  const auto partition_of = [&] {
    const Plan plan = derive_plan(profile, options);
    return to_string(std::get<VmobaParams>(plan.rule_for(0, 0, 0)->params).partition);
  };
  EXPECT_EQ(partition_of(), "spatial:4,4");  // density 2 / 16
  options.costs = &costs;
  EXPECT_EQ(partition_of(), "temporal:1");  // 0.05 + 2 / 4 against 0.6 + 2 / 16
}

}  // namespace
}  // namespace sparsescope
