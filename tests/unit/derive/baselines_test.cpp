// Baselines on profiles with known curves: one setting everywhere, the density met to the
// granularity, settings worked out by hand.
#include "derive/baselines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_statistic;
using testing::error_of;
using ::testing::HasSubstr;
using testing::make_profile;

DeriveOptions options_of(Method method, double density) {
  DeriveOptions options;
  options.method = method;
  options.target = {TargetKind::kDensity, density};
  return options;
}

template <typename Params>
Params params_of(const Plan& plan, int64_t layer = 0) {
  return std::get<Params>(plan.rule_for(0, layer, 0)->params);
}

// 16 tiles. Pooled scores hold (K/16)^(1/2), or all from one tile on for head 1; the oracle
// (K/16)^(1/4).
Profile vsa_profile(const testing::ProfileShape& shape = {}) {
  Profile profile = make_profile(shape);
  testing::add_coverage(profile, [](const ProfileSite& site, double kept) {
    return site.head == 1 ? 1.0 : std::sqrt(kept / 16);
  });
  add_statistic(profile, "coverage_row", fraction_grid().size(), [](const ProfileSite&, size_t i) {
    return std::pow(static_cast<double>(kept_count(fraction_grid()[i], 16)) / 16, 0.25);
  });
  return profile;
}

TEST(VsaBaseline, OneTopKForAllHeadsWithinTheDensity) {
  // 0.3 * 16 = 4.8
  for (const Baseline baseline : {Baseline::kUniform, Baseline::kPublished}) {
    const Plan plan = derive_baseline(vsa_profile(), options_of(Method::kVsa, 0.3), baseline);
    ASSERT_EQ(plan.rules.size(), 1u);
    EXPECT_EQ(plan.rules[0].layers, (IndexRange{0, 1}));
    EXPECT_EQ(plan.rules[0].heads, (IndexRange{0, 1}));
    EXPECT_EQ(plan.rules[0].steps, (IndexRange{0, 1}));
    EXPECT_EQ(params_of<VsaParams>(plan), (VsaParams{.top_k = 4}));
    EXPECT_TRUE(plan.dense_steps.empty());
    EXPECT_TRUE(plan.dense_layers.empty());
    EXPECT_DOUBLE_EQ(plan.expected_density->mean, 0.25);
    EXPECT_NEAR(plan.expected_recall->mean, (0.5 + 1.0) / 2, 1e-6);
    EXPECT_EQ(plan.evidence.at("derivation").at("baseline"), to_string(baseline));
    EXPECT_FALSE(plan.evidence.at("derivation").contains("recall_level"));
  }
}

TEST(VsaBaseline, ADensityThatIsAWholeNumberOfTilesIsMet) {
  const auto plan =
      derive_baseline(vsa_profile(), options_of(Method::kVsa, 0.375), Baseline::kUniform);
  EXPECT_EQ(params_of<VsaParams>(plan).top_k, 6);
}

TEST(VsaBaseline, RandomAndOracleTakeTheSameTopK) {
  Profile profile = vsa_profile();
  const Plan random = derive_baseline(profile, options_of(Method::kVsa, 0.3), Baseline::kRandom);
  EXPECT_EQ(params_of<VsaParams>(random), (VsaParams{4, TileChoice::kRandom}));
  EXPECT_NEAR(random.expected_recall->mean, 0.25, 1e-6);
  const Plan oracle = derive_baseline(profile, options_of(Method::kVsa, 0.3), Baseline::kOracle);
  EXPECT_EQ(params_of<VsaParams>(oracle), (VsaParams{4, TileChoice::kOracle}));
  EXPECT_NEAR(oracle.expected_recall->mean, std::pow(0.25, 0.25), 1e-6);

  // Text is kept besides: chance has its share of the rest.
  add_statistic(profile, "prefix_mass", 1, [](const ProfileSite&, size_t) { return 0.2; });
  const Plan text = derive_baseline(profile, options_of(Method::kVsa, 0.3), Baseline::kRandom);
  EXPECT_NEAR(text.expected_recall->mean, 0.2 + 0.8 * 0.25, 1e-6);
}

TEST(VsaBaseline, NamedDenseStepsAndLayersCountInTheDensity) {
  DeriveOptions options = options_of(Method::kVsa, 0.75);
  options.dense_first_steps = 1;
  const Plan steps = derive_baseline(vsa_profile(), options, Baseline::kUniform);
  EXPECT_EQ(steps.dense_steps, std::vector<int64_t>{0});
  EXPECT_EQ(std::get<VsaParams>(steps.rule_for(1, 0, 0)->params).top_k, 8);  // 1/2 + 1/2 * 8/16
  EXPECT_DOUBLE_EQ(steps.expected_density->mean, 0.75);

  options.dense_first_steps = 0;
  options.dense_layers = {{1}};
  const Plan layers = derive_baseline(vsa_profile(), options, Baseline::kUniform);
  EXPECT_EQ(layers.dense_layers, std::vector<int64_t>{1});
  EXPECT_EQ(params_of<VsaParams>(layers).top_k, 8);
}

TEST(VsaBaseline, RefusesLessThanATile) {
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [] {
                         derive_baseline(vsa_profile(), options_of(Method::kVsa, 0.05),
                                         Baseline::kUniform);
                       }),
              HasSubstr("0.0625"));
}

// 16 tiles, bsa_density = kappa, bsa_recall = sqrt(kappa), no redundant query; the 4 best tiles
// hold 0.6.
Profile bsa_profile() {
  Profile profile = make_profile({});
  add_statistic(profile, "bsa_density", 12,
                [](const ProfileSite&, size_t i) { return fraction_grid()[i]; });
  add_statistic(profile, "bsa_recall", 12,
                [](const ProfileSite&, size_t i) { return std::sqrt(fraction_grid()[i]); });
  add_statistic(profile, "query_cosine", 64,
                [](const ProfileSite&, size_t bin) { return bin == 32 ? 1000.0 : 0.0; });
  testing::add_coverage(profile, [](const ProfileSite&, double kept) {
    return kept == 4 ? 0.6 : std::min(1.0, kept / 4 * 0.6);
  });
  return profile;
}

TEST(BsaBaseline, PublishedConstantsWithTheCutOffMoved) {
  for (const Baseline baseline : {Baseline::kUniform, Baseline::kPublished}) {
    const Plan plan = derive_baseline(bsa_profile(), options_of(Method::kBsa, 0.25), baseline);
    ASSERT_EQ(plan.rules.size(), 1u);
    const auto params = params_of<BsaParams>(plan);
    EXPECT_EQ(params.query_keep, 0.5);
    EXPECT_EQ(params.window, (TileShape{2, 2, 2}));
    EXPECT_EQ(params.min_blocks, 4);
    EXPECT_NEAR(params.kv_keep, 0.5, 1e-9);  // half of the queries
    EXPECT_NEAR(plan.expected_density->mean, 0.25, 1e-9);
    EXPECT_NEAR(plan.expected_recall->mean, std::sqrt(0.5), 1e-6);
  }
}

TEST(BsaBaseline, FourTilesAreAFloorOfDensityAndRecall) {
  const Plan plan =
      derive_baseline(bsa_profile(), options_of(Method::kBsa, 0.126), Baseline::kPublished);
  // The lists of 4 tiles and half of the queries: 1/8, also at kappa 0.25; 0.126 allows 0.252.
  EXPECT_NEAR(params_of<BsaParams>(plan).kv_keep, 0.252, 1e-9);
  EXPECT_NEAR(plan.expected_density->mean, 0.126, 1e-9);
  EXPECT_NEAR(plan.expected_recall->mean, 0.6, 2e-3);  // not sqrt(0.252)
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [] {
                         derive_baseline(bsa_profile(), options_of(Method::kBsa, 0.1),
                                         Baseline::kPublished);
                       }),
              HasSubstr("0.1250"));
}

constexpr size_t kTaus = 19;

// Layers 0 to 3 of the grid 4,16,16. Top-k: density and recall k/N, twice that recall with
// spatial:4,4. Pools: density and recall 0.1 + 0.8 tau of query_head, 0.05 + 0.8 tau of the others.
Profile vmoba_profile(const std::vector<std::string>& partitions) {
  Profile profile = make_profile({.layers = 4});
  for (const std::string& name : partitions) {
    const int64_t blocks = partition_blocks(parse_partition(name), profile.grid).num_tiles();
    const std::string lead = "vmoba/" + name + "/";
    const auto share = [=](size_t i) {
      return static_cast<double>(i + 1) / static_cast<double>(blocks);
    };
    const double gain = name == "spatial:4,4" ? 2.0 : 1.0;
    add_statistic(profile, lead + "density_topk", static_cast<size_t>(blocks),
                  [=](const ProfileSite&, size_t i) { return share(i); });
    add_statistic(profile, lead + "recall_topk", static_cast<size_t>(blocks),
                  [=](const ProfileSite&, size_t i) { return std::min(1.0, gain * share(i)); });
    for (const char* statistic : {"density_tau", "recall_tau"}) {
      add_statistic(profile, lead + statistic, 4 * kTaus, [](const ProfileSite&, size_t i) {
        return (i < kTaus ? 0.1 : 0.05) + 0.8 * tau_grid()[i % kTaus];
      });
    }
  }
  return profile;
}

// Blocks: 4 and 2, 16 and 4, 64 and 32. Nearest to 7 : 24 : 72 is 4 : 16 : 64.
const std::vector<std::string> kPartitions = {"temporal:1",  "temporal:2", "spatial:4,4",
                                              "spatial:8,8", "st:2,4,4",   "st:2,2,4"};

std::vector<std::string> partitions_of(const Plan& plan) {
  std::vector<std::string> names;
  for (int64_t layer = 0; layer < plan.model.layers; ++layer) {
    names.push_back(to_string(params_of<VmobaParams>(plan, layer).partition));
  }
  return names;
}

const std::vector<std::string> kCycle = {"temporal:1", "spatial:4,4", "st:2,2,4", "temporal:1"};

TEST(VmobaBaseline, OneShareOfTheBlocksOfTheCycle) {
  for (const Baseline baseline : {Baseline::kPublished, Baseline::kPublishedTopK}) {
    const Plan plan =
        derive_baseline(vmoba_profile(kPartitions), options_of(Method::kVmoba, 0.25), baseline);
    EXPECT_EQ(partitions_of(plan), kCycle);
    const int64_t kept[] = {1, 4, 16, 1};
    for (int64_t layer = 0; layer < 4; ++layer) {
      const auto params = params_of<VmobaParams>(plan, layer);
      EXPECT_EQ(params.select, VmobaSelect::kTopK);
      EXPECT_EQ(params.pool, VmobaPool::kQueryHead);
      EXPECT_EQ(params.top_k, kept[layer]);
    }
    EXPECT_NEAR(plan.expected_density->mean, 0.25, 1e-7);
    EXPECT_NEAR(plan.expected_recall->mean, (0.25 + 0.5 + 0.25 + 0.25) / 4, 1e-7);
    EXPECT_THAT(plan.evidence.at("derivation").at("remarks").dump(), HasSubstr("4, 16 and 64"));
  }
}

TEST(VmobaBaseline, TheDensityIsMetToABlockOfTheFinestPartition) {
  const Plan plan = derive_baseline(vmoba_profile(kPartitions), options_of(Method::kVmoba, 0.262),
                                    Baseline::kPublished);
  // Shares up to 0.281 keep 1, 4 and 17 or 18 blocks: (1/4 + 4/16 + 18/64 + 1/4)/4 = 0.2578.
  EXPECT_EQ(params_of<VmobaParams>(plan, 2).top_k, 18);
  EXPECT_NEAR(plan.expected_density->mean, 0.2578125, 1e-7);
}

TEST(VmobaBaseline, OneThresholdBetweenMeasuredValues) {
  const auto derive = [](double density, Baseline baseline) {
    return derive_baseline(vmoba_profile(kPartitions), options_of(Method::kVmoba, density),
                           baseline);
  };
  for (const auto& [density, tau] : {std::pair{0.3, 0.25}, {0.32, 0.275}}) {
    const Plan plan = derive(density, Baseline::kPublishedThreshold);
    EXPECT_EQ(partitions_of(plan), kCycle);
    for (int64_t layer = 0; layer < 4; ++layer) {
      const auto params = params_of<VmobaParams>(plan, layer);
      EXPECT_EQ(params.select, VmobaSelect::kThreshold);
      EXPECT_EQ(params.pool, VmobaPool::kQueryHead);
      EXPECT_NEAR(params.threshold, tau, 1.01e-4);
    }
    EXPECT_LE(plan.expected_density->mean, density + 1e-9);
    EXPECT_NEAR(plan.expected_density->mean, density, 1e-4);
    EXPECT_NEAR(plan.expected_recall->mean, density, 1e-4);
  }
  const auto global = params_of<VmobaParams>(derive(0.3, Baseline::kPublishedGlobal));
  EXPECT_EQ(global.pool, VmobaPool::kHeadGlobal);
  EXPECT_NEAR(global.threshold, 0.3125, 1.01e-4);
}

TEST(VmobaBaseline, UniformIsTheBestSinglePartition) {
  const Plan plan = derive_baseline(vmoba_profile(kPartitions), options_of(Method::kVmoba, 0.27),
                                    Baseline::kUniform);
  ASSERT_EQ(plan.rules.size(), 1u);
  EXPECT_EQ(to_string(params_of<VmobaParams>(plan).partition), "spatial:4,4");
  EXPECT_EQ(params_of<VmobaParams>(plan).top_k, 4);
}

TEST(VmobaBaseline, TheCycleNeedsAPartitionOfEachKind) {
  const Profile profile = vmoba_profile({"temporal:1", "spatial:4,4"});
  EXPECT_THAT(
      error_of(
          ErrorKind::kData,
          [&] { derive_baseline(profile, options_of(Method::kVmoba, 0.5), Baseline::kPublished); }),
      HasSubstr("found 1, 1 and 0"));
}

TEST(Baselines, OnlyWhatAMethodHasAndADensity) {
  const auto refusal = [](Method method, Baseline baseline, ErrorKind kind) {
    return error_of(kind,
                    [&] { derive_baseline(bsa_profile(), options_of(method, 0.5), baseline); });
  };
  EXPECT_THAT(refusal(Method::kBsa, Baseline::kRandom, ErrorKind::kUsage), HasSubstr("random"));
  EXPECT_THAT(refusal(Method::kVmoba, Baseline::kOracle, ErrorKind::kUsage),
              HasSubstr("published:threshold"));
  EXPECT_THAT(refusal(Method::kVsa, Baseline::kPublishedTopK, ErrorKind::kUsage),
              HasSubstr("uniform, published, random, oracle"));
  EXPECT_THAT(refusal(Method::kBsa, Baseline::kPublishedFastVideo, ErrorKind::kUnsupported),
              HasSubstr("cumulative"));
  DeriveOptions options = options_of(Method::kVsa, 0.5);
  options.target.kind = TargetKind::kRecall;
  EXPECT_THAT(error_of(ErrorKind::kUsage,
                       [&] { derive_baseline(vsa_profile(), options, Baseline::kUniform); }),
              HasSubstr("recall=0.5"));
}

TEST(Baselines, NamesAreRead) {
  for (const char* name : {"uniform", "published", "published:topk", "published:threshold",
                           "published:global", "published:fastvideo", "random", "oracle"}) {
    EXPECT_EQ(to_string(parse_baseline(name)), name);
    EXPECT_THAT(baseline_names(), HasSubstr(name));
  }
  EXPECT_THAT(error_of(ErrorKind::kUsage, [] { parse_baseline("best"); }), HasSubstr("'best'"));
}

}  // namespace
}  // namespace sparsescope
