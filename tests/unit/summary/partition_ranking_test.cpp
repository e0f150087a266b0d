// Partitions with straight curves of which one is planted as the best of each layer: recall is
// offset + (1 - offset) * density, so that every cost follows by hand.
#include "summary/partition_ranking.h"

#include <gmock/gmock.h>

#include <map>

#include "core/error.h"
#include "support/expect_error.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope::testing {
namespace {

constexpr double kGood = 0.4, kPlain = 0.2;
const std::vector<std::pair<std::string, size_t>> kPartitions = {
    {"temporal:1", 8}, {"spatial:4,4", 16}, {"st:4,4,4", 32}};

// Findings list partitions by name.
constexpr size_t kTemporal = 2;

// kind 0, 1, 2 as in kPartitions
using OffsetOf = std::function<double(int64_t kind, const ProfileSite& site)>;

Profile profile_of(int64_t layers, int64_t prompts, const OffsetOf& offset_of) {
  Profile profile =
      make_profile({.grid = {8, 16, 16}, .prompts = prompts, .layers = layers, .heads = 1});
  for (size_t kind = 0; kind < kPartitions.size(); ++kind) {
    const auto& [name, blocks] = kPartitions[kind];
    const std::string folder = "vmoba/" + name + "/";
    const auto recall = [&offset_of, kind](const ProfileSite& site, double density) {
      const double offset = offset_of(static_cast<int64_t>(kind), site);
      return offset + (1 - offset) * density;
    };
    const auto topk = [blocks](size_t i) {
      return static_cast<double>(i + 1) / static_cast<double>(blocks);
    };
    const auto tau = [](size_t i) { return tau_grid()[i % tau_grid().size()]; };
    add_statistic(profile, folder + "density_topk", blocks,
                  [&](const ProfileSite&, size_t i) { return topk(i); });
    add_statistic(profile, folder + "recall_topk", blocks,
                  [&](const ProfileSite& site, size_t i) { return recall(site, topk(i)); });
    add_statistic(profile, folder + "error_topk", blocks,
                  [&](const ProfileSite& site, size_t i) { return 1 - recall(site, topk(i)); });
    const size_t settings = 4 * tau_grid().size();
    add_statistic(profile, folder + "density_tau", settings,
                  [&](const ProfileSite&, size_t i) { return tau(i); });
    add_statistic(profile, folder + "recall_tau", settings,
                  [&](const ProfileSite& site, size_t i) { return recall(site, tau(i)); });
    add_statistic(profile, folder + "error_tau", settings,
                  [&](const ProfileSite& site, size_t i) { return 1 - recall(site, tau(i)); });
  }
  return profile;
}

PartitionRanking ranking_of(const Profile& profile, const std::string& rule,
                            const std::string& judge, double density) {
  for (PartitionRanking& one : find_partition_rankings(profile, {})) {
    if (one.rule == rule && one.judge == judge && one.density == density) return one;
  }
  ADD_FAILURE() << rule << " " << judge << " " << density;
  return {};
}

TEST(PartitionRanking, TheCycleCostsNothingWhereItIsBest) {
  const Profile profile = profile_of(6, 3, [](int64_t kind, const ProfileSite& site) {
    return site.layer % 3 == kind ? kGood : kPlain;
  });
  for (const char* judge : {"recall", "error"}) {
    const PartitionRanking ranking = ranking_of(profile, "top-k", judge, 0.25);
    EXPECT_NEAR(ranking.best.value, judge[0] == 'r' ? 0.55 : 0.45, 1e-6);
    ASSERT_TRUE(ranking.cycle);
    EXPECT_NEAR(ranking.cycle->lost.value, 0, 1e-6);
    EXPECT_NEAR(ranking.cycle->extra_density.value, 0, 1e-6);
    for (const LayerPartitions& layer : ranking.layers) EXPECT_EQ(layer.best, layer.in_cycle);
  }
}

// Layers want 3D, 2D, 1D by turns: the plain cycle is right in every third layer.
TEST(PartitionRanking, TheCyclesCostByHand) {
  const Profile profile = profile_of(6, 3, [](int64_t kind, const ProfileSite& site) {
    return site.layer % 3 == 2 - kind ? kGood : kPlain;
  });
  for (const char* rule : {"top-k", "tau of query_head", "tau of overall"}) {
    const PartitionRanking ranking = ranking_of(profile, rule, "recall", 0.25);
    EXPECT_NEAR(ranking.best.value, 0.55, 1e-6);
    EXPECT_NEAR(ranking.cycle->value.value, 0.45, 1e-6);
    EXPECT_NEAR(ranking.cycle->lost.value, 0.1, 1e-6) << rule;
    // kPlain + (1 - kPlain) * d = 0.55 at d = 0.4375 in two of three layers
    EXPECT_NEAR(ranking.cycle->extra_density.value, 0.1875 * 2 / 3, 1e-6) << rule;
    EXPECT_EQ(ranking.cycle->never, 0);
    EXPECT_NEAR(ranking.cycle->lost.interval->low, 0.1, 1e-6) << "all prompts are alike";
  }
}

TEST(PartitionRanking, FindsTheCycleThatServesBest) {
  // 3D, 3D, 1D by turns
  const Profile profile = profile_of(6, 2, [](int64_t kind, const ProfileSite& site) {
    return kind == (site.layer % 3 == 2 ? 0 : 2) ? kGood : kPlain;
  });
  const PartitionRanking ranking = ranking_of(profile, "top-k", "recall", 0.25);
  ASSERT_TRUE(ranking.schedule);
  const VmobaSchedule& schedule = ranking.schedule->schedule;
  EXPECT_EQ(schedule.temporal_layers, 1);
  EXPECT_EQ(schedule.spatial_layers, 0);
  EXPECT_EQ(schedule.st_layers, 2);
  EXPECT_EQ(schedule.first_full_layer, 2);
  EXPECT_NEAR(ranking.schedule->lost.value, 0, 1e-6);
  EXPECT_EQ(ranking.schedule->partitions[1], -1) << "2D is not used";
}

// The partition that is best on a prompt is another one on each: what was chosen on the others is
// no better than chance, and the mean over prompts says so.
TEST(PartitionRanking, IsJudgedOnPromptsThatItWasNotChosenOn) {
  const Profile profile = profile_of(1, 3, [](int64_t kind, const ProfileSite& site) {
    return kind == site.prompt ? kGood : kPlain;
  });
  const PartitionRanking ranking = ranking_of(profile, "top-k", "recall", 0.25);
  EXPECT_NEAR(ranking.best.value, kPlain + (1 - kPlain) * 0.25, 1e-6);
  EXPECT_NEAR(ranking.layers[0].agreeing, 1.0 / 3, 1e-9);
  EXPECT_NEAR(ranking.chance, 1.0 / 3, 1e-9);
}

TEST(PartitionRanking, PartitionsThatCannotGoThatLowDoNotCompete) {
  const Profile profile =
      profile_of(3, 2, [](int64_t kind, const ProfileSite&) { return kind == 0 ? 0.9 : kPlain; });
  // 1/8 is the least density of temporal:1 on 8 frames: it competes there, and not below.
  EXPECT_TRUE(ranking_of(profile, "top-k", "recall", 0.125).layers[0].values[kTemporal].known());
  SummaryOptions options;
  options.budget = 0.0625;
  for (const PartitionRanking& one : find_partition_rankings(profile, options)) {
    if (one.rule != "top-k" || one.density != 0.0625) continue;
    EXPECT_FALSE(one.layers[0].values[kTemporal].known());
    EXPECT_NE(one.layers[0].best, static_cast<int64_t>(kTemporal));
    EXPECT_FALSE(one.cycle) << "layer 0 would need it";
    ASSERT_TRUE(one.schedule);
    EXPECT_EQ(one.schedule->schedule.temporal_layers, 0);
  }
}

TEST(PartitionRanking, NeedsPartitions) {
  const Profile profile = make_profile({});
  error_of(ErrorKind::kData, [&] { find_partition_rankings(profile, {}); });
}

}  // namespace
}  // namespace sparsescope::testing
