// VMoBA settings worked out by hand: two partitions, each the better one for one layer.
#include <gtest/gtest.h>

#include "derive/derive.h"
#include "unit/derive/synthetic_profile.h"

namespace sparsescope {
namespace {

using testing::add_statistic;
using testing::make_profile;

constexpr size_t kTaus = 4 * 19;

// temporal:1 has 4 blocks, spatial:4,4 has 16. Top-k: density k/blocks. Layer 0 gathers its mass in
// frames (recall 2k/4), layer 1 in squares (recall 4k/16). Thresholds give nothing, except tau =
// 0.5 of the given pool.
Profile vmoba_profile(size_t good_pool, double tau_density) {
  Profile profile = make_profile({});
  const auto add = [&](const std::string& partition, size_t blocks, int64_t good_layer,
                       double gain) {
    const std::string lead = "vmoba/" + partition + "/";
    const auto share = [=](size_t i) { return static_cast<double>(i + 1) / blocks; };
    add_statistic(profile, lead + "density_topk", blocks,
                  [=](const ProfileSite&, size_t i) { return share(i); });
    add_statistic(profile, lead + "recall_topk", blocks, [=](const ProfileSite& site, size_t i) {
      return site.layer == good_layer ? std::min(1.0, gain * share(i)) : share(i);
    });
    add_statistic(profile, lead + "density_tau", kTaus, [=](const ProfileSite&, size_t i) {
      return i == good_pool * 19 + 9 ? tau_density : 1.0;
    });
    add_statistic(profile, lead + "recall_tau", kTaus, [=](const ProfileSite&, size_t i) {
      return i == good_pool * 19 + 9 ? 0.9 : 1.0;
    });
  };
  add("temporal:1", 4, 0, 2.0);
  add("spatial:4,4", 16, 1, 4.0);
  return profile;
}

DeriveOptions vmoba_options(TargetKind kind, double value, Granularity per) {
  DeriveOptions options;
  options.method = Method::kVmoba;
  options.target = {kind, value};
  options.per = per;
  options.dense_first_steps = 0;
  options.dense_layers = std::vector<int64_t>{};
  return options;
}

VmobaParams params_of(const Plan& plan, int64_t layer, int64_t head = 0) {
  return std::get<VmobaParams>(plan.rule_for(0, layer, head)->params);
}

TEST(DeriveVmoba, EachLayerTakesTheCheaperPartition) {
  const Plan plan = derive_plan(vmoba_profile(0, 1.0),
                                vmoba_options(TargetKind::kRecall, 0.9, Granularity::kLayer));

  // Layer 0: frames, k/2 >= 0.9 at k = 2 (density 0.5); squares would need 15 of 16.
  EXPECT_EQ(to_string(params_of(plan, 0).partition), "temporal:1");
  EXPECT_EQ(params_of(plan, 0).top_k, 2);
  // Layer 1: squares, k/4 >= 0.9 at k = 4 (density 0.25).
  EXPECT_EQ(to_string(params_of(plan, 1).partition), "spatial:4,4");
  EXPECT_EQ(params_of(plan, 1).top_k, 4);
  EXPECT_NEAR(plan.expected_density->mean, (0.5 + 0.25) / 2, 1e-7);
  EXPECT_NEAR(plan.expected_recall->mean, 1.0, 1e-7);
}

TEST(DeriveVmoba, ThresholdWhereItIsCheaper) {
  const Plan plan = derive_plan(vmoba_profile(1, 0.1),
                                vmoba_options(TargetKind::kRecall, 0.9, Granularity::kLayer));
  const VmobaParams params = params_of(plan, 0);
  EXPECT_EQ(params.select, VmobaSelect::kThreshold);
  EXPECT_EQ(params.pool, VmobaPool::kHeadGlobal);
  EXPECT_EQ(params.threshold, 0.5);
  EXPECT_NEAR(plan.expected_density->mean, 0.1, 1e-7);
}

TEST(DeriveVmoba, PoolsAcrossHeadsNeedOneSettingForAllHeads) {
  const Profile profile = vmoba_profile(3, 0.1);
  const Plan by_layer =
      derive_plan(profile, vmoba_options(TargetKind::kRecall, 0.9, Granularity::kLayer));
  const Plan by_head =
      derive_plan(profile, vmoba_options(TargetKind::kRecall, 0.9, Granularity::kHead));
  EXPECT_EQ(params_of(by_layer, 0).pool, VmobaPool::kOverall);
  EXPECT_EQ(params_of(by_head, 0).select, VmobaSelect::kTopK);
}

TEST(DeriveVmoba, HeadsOfALayerShareThePartition) {
  Profile profile = make_profile({.layers = 1});
  // Head 0 gains by frames (density 1/4 where squares need 12/16), head 1 by squares (3/16 where
  // frames need 2/4): together frames cost 0.75, squares 0.9375.
  const auto add = [&](const std::string& partition, size_t blocks, double full_0, double full_1) {
    const std::string lead = "vmoba/" + partition + "/";
    add_statistic(profile, lead + "density_topk", blocks, [=](const ProfileSite&, size_t i) {
      return static_cast<double>(i + 1) / blocks;
    });
    add_statistic(profile, lead + "recall_topk", blocks, [=](const ProfileSite& site, size_t i) {
      return std::min(1.0, static_cast<double>(i + 1) / (site.head == 0 ? full_0 : full_1));
    });
    for (const char* name : {"density_tau", "recall_tau"}) {
      add_statistic(profile, lead + name, kTaus, [](const ProfileSite&, size_t) { return 1.0; });
    }
  };
  add("temporal:1", 4, 1, 2);
  add("spatial:4,4", 16, 12, 3);

  const Plan plan =
      derive_plan(profile, vmoba_options(TargetKind::kRecall, 1.0, Granularity::kHead));

  EXPECT_EQ(to_string(params_of(plan, 0, 0).partition), "temporal:1");
  EXPECT_EQ(to_string(params_of(plan, 0, 1).partition), "temporal:1");
  EXPECT_EQ(params_of(plan, 0, 0).top_k, 1);
  EXPECT_EQ(params_of(plan, 0, 1).top_k, 2);
}

TEST(DeriveVmoba, HighestRecallWithinABudget) {
  const Plan plan = derive_plan(vmoba_profile(0, 1.0),
                                vmoba_options(TargetKind::kDensity, 0.375, Granularity::kLayer));
  // The full recall of both layers costs exactly (0.5 + 0.25) / 2.
  EXPECT_NEAR(plan.expected_density->mean, 0.375, 1e-7);
  EXPECT_NEAR(plan.expected_recall->mean, 1.0, 1e-7);
}

}  // namespace
}  // namespace sparsescope
