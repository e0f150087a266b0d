// The premises of BSA on profiles that meet them exactly, and on ones with a planted deviation.
#include <gmock/gmock.h>

#include <cmath>

#include "capture/gaussian_cut.h"
#include "summary/query_premise.h"
#include "summary/score_premise.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope::testing {
namespace {

double upper_tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

// Scores of every head are normal but those of head 1 in layer 1, whose densities are those of
// normal ones moved up by the shift.
Profile normal_but_one(double shift) {
  Profile profile = make_profile({.prompts = 3});
  add_statistic(profile, "score_moments", 4,
                [](const ProfileSite&, size_t i) { return i == 1 ? 1.0 : 0.0; });
  add_statistic(profile, "bsa_density", fraction_grid().size(),
                [shift](const ProfileSite& site, size_t i) {
                  const double kappa = fraction_grid()[i];
                  const bool moved = site.layer == 1 && site.head == 1;
                  return kappa >= 1 || !moved ? kappa : upper_tail(gaussian_cut(kappa) - shift);
                });
  return profile;
}

TEST(ScorePremise, NormalScoresNeedNoShift) {
  const ScorePremise premise = find_score_premise(normal_but_one(0), {});
  EXPECT_EQ(premise.cuts.size(), fraction_grid().size() - 1);
  for (const CutLine& cut : premise.cuts) {
    EXPECT_NEAR(cut.density.value, cut.kappa, 1e-6);
    EXPECT_NEAR(cut.shift.value, 0, 1e-5) << cut.kappa;
    EXPECT_NEAR(cut.predicted, 0, 1e-9);
    EXPECT_EQ(cut.without, 0);
  }
  EXPECT_EQ(premise.moments[1].name, "standard_deviation");
  EXPECT_DOUBLE_EQ(premise.moments[1].mean.value, 1);
}

TEST(ScorePremise, APlantedShiftIsFoundAndItsHeadStandsFirst) {
  const ScorePremise premise = find_score_premise(normal_but_one(0.4), {});
  ASSERT_EQ(premise.heads.size(), 4u);
  EXPECT_EQ(premise.heads[0].layer, 1);
  EXPECT_EQ(premise.heads[0].head, 1);
  EXPECT_NEAR(premise.heads[0].shift.value(), 0.4, 1e-5);
  EXPECT_NEAR(premise.heads[0].density, upper_tail(gaussian_cut(0.25) - 0.4), 1e-6);
  EXPECT_NEAR(premise.layers[1].shift.value, 0.2, 1e-5);
  const auto quarter = std::find_if(premise.cuts.begin(), premise.cuts.end(),
                                    [](const CutLine& cut) { return cut.kappa == 0.25; });
  EXPECT_NEAR(quarter->shift.value, 0.1, 1e-5);
  EXPECT_NEAR(quarter->rest, 0.1, 1e-5) << "moments of 0 foretell nothing";
  EXPECT_EQ(premise.cuts[0].without, 1) << "one head never keeps as little as 1/64";
}

TEST(ScorePremise, SkewnessForetellsByCornishFisher) {
  Profile profile = normal_but_one(0);
  add_statistic(profile, "score_moments", 4,
                [](const ProfileSite&, size_t i) { return i == 2 ? 0.6 : 0.0; });
  const ScorePremise premise = find_score_premise(profile, {});
  const double z = gaussian_cut(0.25);
  const double shift = (z * z - 1) * 0.1 - (2 * z * z * z - 5 * z) * 0.01;
  EXPECT_NEAR(premise.heads[0].predicted, shift, 1e-6);
}

// Cosines 0.5 + head / 4 in windows, the tile's histogram in one bin a head.
Profile alike_queries() {
  Profile profile = make_profile({.layers = 1});
  add_statistic(profile, "query_cosine", 64, [](const ProfileSite& site, size_t bin) {
    return bin == (site.head == 0 ? 32u : 63u) ? 10.0 : 0.0;
  });
  add_statistic(profile, "row_overlap", 1,
                [](const ProfileSite& site, size_t) { return site.head == 0 ? 0.8 : 0.4; });
  return profile;
}

TEST(QueryPremise, OfATileByHand) {
  const QueryPremise premise = find_query_premise(alike_queries(), {});
  ASSERT_EQ(premise.windows.size(), 1u);
  const WindowCosine& tile = premise.windows[0];
  EXPECT_TRUE(tile.of_tile);
  EXPECT_EQ(tile.window, "4,4,4");
  // Centres of the bins: 1/64 and 63/64.
  EXPECT_DOUBLE_EQ(tile.mean.value, 0.5);
  EXPECT_DOUBLE_EQ(tile.least, 1.0 / 64);
  EXPECT_EQ(tile.least_head, 0);
  EXPECT_DOUBLE_EQ(tile.alike, 0.5);
  EXPECT_NEAR(premise.row_overlap.value, 0.6, 1e-7);
  EXPECT_EQ(premise.least_head, 1);
}

TEST(QueryPremise, WindowsStandBeforeTheTile) {
  Profile profile = alike_queries();
  add_statistic(profile, "window_cosine", 2, [](const ProfileSite& site, size_t window) {
    return window == 0 ? 0.95 : 0.5 + 0.25 * static_cast<double>(site.head);
  });
  const QueryPremise premise = find_query_premise(profile, {});
  ASSERT_EQ(premise.windows.size(), 3u);
  EXPECT_NEAR(premise.windows[0].mean.value, 0.95, 1e-6);
  EXPECT_EQ(premise.windows[0].alike, 1);
  EXPECT_EQ(premise.windows[1].least, 0.5);
  EXPECT_EQ(premise.layers[0].cosines.size(), 3u);
}

}  // namespace
}  // namespace sparsescope::testing
