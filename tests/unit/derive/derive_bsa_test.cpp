// BSA settings worked out by hand.
#include <gtest/gtest.h>

#include "derive/derive.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_statistic;
using testing::make_profile;

// bsa_density = kappa, bsa_recall = sqrt(kappa); redundant rows: the given share in the last bin.
Profile bsa_profile(double redundant_share, const testing::ProfileShape& shape = {}) {
  Profile profile = make_profile(shape);
  add_statistic(profile, "bsa_density", 12,
                [](const ProfileSite&, size_t i) { return fraction_grid()[i]; });
  add_statistic(profile, "bsa_recall", 12,
                [](const ProfileSite&, size_t i) { return std::sqrt(fraction_grid()[i]); });
  add_statistic(profile, "query_cosine", 64, [=](const ProfileSite&, size_t bin) {
    if (bin == 60) return 1000 * redundant_share;  // [0.875, 0.90625)
    return bin == 59 ? 1000 * (1 - redundant_share) : 0.0;
  });
  return profile;
}

DeriveOptions bsa_options(double recall) {
  DeriveOptions options;
  options.method = Method::kBsa;
  options.target = {TargetKind::kRecall, recall};
  options.per = Granularity::kModel;
  options.dense_first_steps = 0;
  options.dense_layers = std::vector<int64_t>{};
  return options;
}

BsaParams params_of(const Plan& plan) { return std::get<BsaParams>(plan.rules.at(0).params); }

TEST(DeriveBsa, CutoffReachesTheRecall) {
  const Plan plan = derive_plan(bsa_profile(0.6), bsa_options(0.5));

  // sqrt(1/4) = 0.5 is measured.
  EXPECT_NEAR(params_of(plan).kv_keep, 0.25, 1e-4);
  EXPECT_GE(params_of(plan).kv_keep, 0.25 - 1e-5);
  EXPECT_EQ(params_of(plan).query_keep, 0.5);
  EXPECT_EQ(params_of(plan).window, (TileShape{2, 2, 2}));
  EXPECT_EQ(params_of(plan).min_blocks, 1);
  EXPECT_NEAR(plan.expected_density->mean, 0.125, 1e-4);  // half of the queries
  EXPECT_NEAR(plan.expected_recall->mean, 0.5, 1e-4);
}

TEST(DeriveBsa, CutoffBetweenMeasuredValues) {
  const Plan plan = derive_plan(bsa_profile(0.6), bsa_options(0.8));
  // Between 1/2 (0.7071068) and 3/4 (0.8660254): 0.5 + 0.25 * 0.0928932/0.1589186 = 0.646134
  EXPECT_NEAR(params_of(plan).kv_keep, 0.6462, 1.01e-4);
  EXPECT_GE(plan.expected_recall->mean, 0.8 - 1e-6);
}

TEST(DeriveBsa, QueriesAreKeptWhereTheyAreNotRedundant) {
  // Prunable share -> kept: 0.5 -> 0.5, 0.3 -> 0.75 (0.375 would be too much), 0 -> 1.
  for (const auto& [redundant, keep] :
       {std::pair{0.5, 0.5}, {0.49, 0.625}, {0.3, 0.75}, {0.2, 0.875}, {0.1, 1.0}, {0.0, 1.0}}) {
    const Plan plan = derive_plan(bsa_profile(redundant), bsa_options(0.5));
    EXPECT_EQ(params_of(plan).query_keep, keep) << redundant;
    EXPECT_NEAR(plan.expected_density->mean, 0.25 * keep, 1e-4) << redundant;
  }
}

TEST(DeriveBsa, ClippedWindowsKeepMoreQueries) {
  // Grid 1,1,3: one tile with windows of 2 tokens and 1 token, which keep 1 + 1 of 3 at one half.
  const Plan plan = derive_plan(bsa_profile(0.6, {.grid = {1, 1, 3}}), bsa_options(0.5));
  EXPECT_EQ(params_of(plan).query_keep, 0.5);
  EXPECT_NEAR(plan.expected_density->mean, 2.0 / 3 * 0.25, 1e-4);
}

TEST(DeriveBsa, DensityBudgetIsMet) {
  DeriveOptions options = bsa_options(0.5);
  options.target = {TargetKind::kDensity, 0.25};
  const Plan plan = derive_plan(bsa_profile(0.6), options);
  // Half of the queries: kv_keep 0.5 gives 0.25.
  EXPECT_NEAR(params_of(plan).kv_keep, 0.5, 1e-3);
  EXPECT_LE(plan.expected_density->mean, 0.25 + 1e-9);
}

TEST(DeriveBsa, FullRecallKeepsAllKeys) {
  const Plan plan = derive_plan(bsa_profile(0.0), bsa_options(1.0));
  EXPECT_NEAR(params_of(plan).kv_keep, 1.0, 1e-3);
}

}  // namespace
}  // namespace sparsescope
