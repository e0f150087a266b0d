// Coverages, sinks and variances by hand.
#include "summary/key_facts.h"

#include <gmock/gmock.h>

#include "unit/derive/synthetic_profile.h"

namespace sparsescope::testing {
namespace {

Profile profile_of(const ProfileShape& shape) {
  Profile profile = make_profile(shape);
  const auto constant = [](double value) {
    return [value](const ProfileSite&, size_t) { return value; };
  };
  add_statistic(profile, "coverage_row", fraction_grid().size(), constant(0.9));
  add_statistic(profile, "coverage_tile", fraction_grid().size(), constant(0.7));
  add_statistic(profile, "coverage_pooled", fraction_grid().size(), constant(0.6));
  add_statistic(profile, "entropy", 1, constant(0.5 * std::log(1024.0)));
  add_statistic(profile, "row_overlap", 1, constant(0.25));
  // Tile 5 is the heaviest one of head 0, tile 6 of the others.
  add_statistic(profile, "key_mass", 16, [](const ProfileSite& site, size_t tile) {
    return tile == (site.head == 0 ? 5u : 6u) ? 0.25 : 0.05;
  });
  return profile;
}

TEST(KeyFacts, ByHand) {
  const KeyFacts facts = find_key_facts(profile_of({.prompts = 2, .heads = 3}), {});
  EXPECT_NEAR(facts.facts[1].mean.value, 0.5, 1e-6);  // entropy over ln 1024
  ASSERT_EQ(facts.coverage.size(), fraction_grid().size());
  const CoverageLine& quarter = facts.coverage[7];
  EXPECT_EQ(quarter.kept, 4);
  EXPECT_DOUBLE_EQ(quarter.chance, 0.25);
  EXPECT_NEAR(quarter.sharing.value, 0.2, 1e-6);
  EXPECT_NEAR(quarter.ranking.value, 0.1, 1e-6);
  EXPECT_EQ(facts.budget, 0.25);

  EXPECT_EQ(facts.sinks.kept, 1);
  EXPECT_NEAR(facts.sinks.share.value, 0.25, 1e-6);
  EXPECT_DOUBLE_EQ(facts.sinks.chance, 1.0 / 16);
  EXPECT_EQ(facts.sinks.tile, 6);
  EXPECT_THAT(facts.sinks.place, ::testing::ElementsAre(0, 1, 2));  // of 1 x 4 x 4 tiles
  EXPECT_NEAR(facts.sinks.heads, 2.0 / 3, 1e-12);
}

TEST(KeyFacts, SampledRowsHaveAWorstError) {
  Profile profile = profile_of({});
  EXPECT_EQ(find_key_facts(profile, {}).sampling.largest_error, 0);
  profile.rows_per_tile = 4;  // of 64
  const RowSampling sampling = find_key_facts(profile, {}).sampling;
  EXPECT_EQ(sampling.rows, 64);
  EXPECT_NEAR(sampling.largest_error, 0.5 * std::sqrt((1 - 1.0 / 16) / 64), 1e-12);
}

// layer + 0.1 * step + 0.01 * (1 for prompt 1 in layer 1)
TEST(Variance, SplitsIntoItsParts) {
  Profile profile = make_profile({.prompts = 2, .branches = 2});
  add_statistic(profile, "x", 1, [](const ProfileSite& site, size_t) {
    return static_cast<double>(site.layer) + 0.1 * static_cast<double>(site.step);
  });
  const SiteNumbers numbers = numbers_of(profile, "x");
  const auto shares = variance_shares(profile, numbers);
  ASSERT_TRUE(shares);
  const double total = 0.25 + 0.0025;  // population variances of 0, 1 and of 0, 0.1
  EXPECT_NEAR(shares->deviation, std::sqrt(total), 1e-6);
  EXPECT_NEAR(shares->layers, 0.25 / total, 1e-6);
  EXPECT_NEAR(shares->steps, 0.0025 / total, 1e-6);
  for (const double none :
       {shares->heads, shares->head_steps, shares->branches, shares->prompts, shares->rest}) {
    EXPECT_NEAR(none, 0, 1e-6);
  }
  const Spreads spreads = spreads_of(profile, numbers);
  EXPECT_EQ(spreads.prompts, 0);
  EXPECT_EQ(spreads.heads, 0);
  EXPECT_NEAR(spreads.steps, 0.1 / std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(spreads.layers, 1 / std::sqrt(2.0), 1e-6);
}

TEST(Variance, OfPromptsOnSingleHeadsIsTheRest) {
  Profile profile = make_profile({.prompts = 2, .branches = 1, .steps = 1, .layers = 1});
  // Prompts move the two heads in opposite directions: no mean tells.
  add_statistic(profile, "x", 1, [](const ProfileSite& site, size_t) {
    return site.prompt == site.head ? 1.0 : 0.0;
  });
  const SiteNumbers numbers = numbers_of(profile, "x");
  EXPECT_NEAR(variance_shares(profile, numbers)->rest, 1, 1e-12);
  EXPECT_NEAR(spreads_of(profile, numbers).prompts, 1 / std::sqrt(2.0), 1e-12);
  EXPECT_TRUE(std::isnan(spreads_of(profile, numbers).steps));
}

TEST(Variance, IsNotSplitWhereSitesAreMissing) {
  Profile profile = make_profile({.prompts = 2});
  profile.recorded[0] = 0;
  add_statistic(profile, "x", 1,
                [](const ProfileSite& site, size_t) { return static_cast<double>(site.layer); });
  EXPECT_FALSE(variance_shares(profile, numbers_of(profile, "x")));
}

}  // namespace
}  // namespace sparsescope::testing
