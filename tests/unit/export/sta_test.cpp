#include <gmock/gmock.h>

#include <numeric>

#include "export/sta_windows.h"
#include "stats/profile_store.h"
#include "unit/derive/synthetic_profile.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const TokenGrid kWanGrid{18, 48, 80};  // 3x6x10 tiles
constexpr int64_t kTiles = 180;

// [N, N]: the share `inside` of a row's mass evenly on the keys that differ from the query by at
// most the radii, the rest evenly on the others.
std::vector<float> cube_map(int64_t rt, int64_t rh, int64_t rw, double inside) {
  std::vector<float> map;
  for (int64_t query = 0; query < kTiles; ++query) {
    std::vector<bool> near;
    for (int64_t key = 0; key < kTiles; ++key) {
      near.push_back(std::abs(query / 60 - key / 60) <= rt &&
                     std::abs(query / 10 % 6 - key / 10 % 6) <= rh &&
                     std::abs(query % 10 - key % 10) <= rw);
    }
    const auto count = static_cast<double>(std::count(near.begin(), near.end(), true));
    for (const bool is_near : near) {
      const double rest = static_cast<double>(kTiles) - count;
      map.push_back(static_cast<float>(is_near ? inside / count : (1 - inside) / rest));
    }
  }
  return map;
}

// One layer of two heads, one step: head 0 looks at its own frame of tiles, head 1 at its column.
Profile sta_profile(double inside, int64_t branches = 1) {
  Profile profile =
      make_profile({.grid = kWanGrid, .branches = branches, .steps = 1, .layers = 1, .heads = 2});
  profile.tile = kStaTile;
  add_statistic(
      profile, "coverage_pooled", fraction_grid().size(), [](const ProfileSite&, size_t i) {
        return fraction_grid()[i] == 1 ? 1.0 : 0.9;  // any top-k below all has a recall of 0.9
      });
  for (int64_t branch = 0; branch < branches; ++branch) {
    std::vector<float> map = cube_map(0, 5, 9, inside);
    const std::vector<float> column = cube_map(2, 0, 0, inside);
    map.insert(map.end(), column.begin(), column.end());
    profile.maps[map_name(0, branch, 0, 0)] = std::move(map);
  }
  return profile;
}

const PlanShape kShape{.grid = kWanGrid, .tile = kStaTile, .steps = 1, .layers = 1, .heads = 2};

TEST(StaWindows, MassOfAUniformMapIsTheShareOfTheWindow) {
  const std::vector<float> uniform(kTiles * kTiles, 1.0f / kTiles);
  for (const TileShape& window : find_sta_grid(kWanGrid).windows) {
    EXPECT_NEAR(window_mass(uniform.data(), {3, 6, 10}, window),
                static_cast<double>(window.volume()) / kTiles, 1e-6)
        << to_string(window);
  }
}

TEST(StaWindows, CentresAreClampedAtTheEdges) {
  // All mass of column 0 lies on column 4, that of the others on column 0. A window of 5 columns is
  // centred on column 2 for the queries of columns 0 to 2 and holds both; the others miss column 0.
  std::vector<float> map(kTiles * kTiles, 0.0f);
  for (int64_t query = 0; query < kTiles; ++query) {
    map[static_cast<size_t>(query * kTiles + query / 10 * 10 + (query % 10 == 0 ? 4 : 0))] = 1.0f;
  }
  EXPECT_DOUBLE_EQ(window_mass(map.data(), {3, 6, 10}, {1, 6, 5}), 0.3);
  EXPECT_DOUBLE_EQ(window_mass(map.data(), {3, 6, 10}, {3, 6, 10}), 1.0);
}

TEST(Sta, TakesTheSmallestWindowThatReachesThePlansRecall) {
  const Profile profile = sta_profile(0.95);
  const Exported exported = export_plan("sta", uniform_plan(VsaParams{18}, kShape), {}, &profile);
  // Head 0 needs its whole frame of tiles, 1x6x10; head 1 its column of 3: 3x1x1.
  EXPECT_EQ(exported.texts.front(), "{\n\"0_0_0\": [1, 6, 10],\n\"0_0_1\": [3, 1, 1]\n}\n");
  EXPECT_THAT(exported.remarks, Contains(HasSubstr("sparsity 0.8250")));  // 1 - 63/360
}

TEST(Sta, DenseHeadsTakeTheFullWindow) {
  const Profile profile = sta_profile(0.95);
  Plan plan = make_plan(Method::kVsa, kShape);
  add_rule(plan, {0, 0}, {0, 0}, {0, 0}, VsaParams{18});
  EXPECT_THAT(export_plan("sta", plan, {}, &profile).texts.front(),
              HasSubstr("\"0_0_1\": [3, 6, 10]"));
}

TEST(Sta, EveryBranchMustReachIt) {
  Profile profile = sta_profile(0.95, 2);
  const std::vector<float> wide = cube_map(2, 5, 9, 1.0);  // uniform over all
  std::vector<float>& second = profile.maps[map_name(0, 1, 0, 0)];
  std::copy(wide.begin(), wide.end(), second.begin() + kTiles * kTiles);  // head 1
  const Exported exported = export_plan("sta", uniform_plan(VsaParams{18}, kShape), {}, &profile);
  EXPECT_THAT(exported.texts.front(), HasSubstr("\"0_0_1\": [3, 6, 10]"));
}

TEST(Sta, RefusesOtherGridsTilesAndMissingMaps) {
  Profile profile = sta_profile(0.95);
  const Plan plan = uniform_plan(VsaParams{18}, kShape);
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "sta", uniform_plan(VsaParams{1})),
              HasSubstr("30,48,80 or 36,48,48 or 18,48,80, found 4,8,20"));
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "sta", plan), HasSubstr("--profile"));
  Profile other = profile;
  other.tile = {4, 4, 4};
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "sta", plan, {}, &other),
              HasSubstr("tiles 6,8,8, found 4,4,4"));
  Profile with_text = profile;
  add_statistic(with_text, "prefix_mass", 1, [](const ProfileSite&, size_t) { return 0.1; });
  EXPECT_THAT(refusal_of(ErrorKind::kUsage, "sta", plan, {}, &with_text),
              HasSubstr("without text alone"));
  profile.maps.clear();
  EXPECT_THAT(refusal_of(ErrorKind::kData, "sta", plan, {}, &profile), HasSubstr("p0_b0_s0_l0"));
}

TEST(StaJson, TheReaderWantsEveryKeyAndLegalWindows) {
  const StaGrid& grid = find_sta_grid(kWanGrid);
  const std::string text = to_sta_json({1, 1, 2, {{3, 1, 1}, {1, 6, 10}}});
  EXPECT_EQ(parse_json(text, "x"), (Json{{"0_0_0", {3, 1, 1}}, {"0_0_1", {1, 6, 10}}}));
  EXPECT_EQ(parse_sta_json(text, 1, 1, 2, grid, "x.json").windows,
            (std::vector<TileShape>{{3, 1, 1}, {1, 6, 10}}));
  const auto refused = [&](const char* broken) {
    return error_of(ErrorKind::kData, [&] { parse_sta_json(broken, 1, 1, 2, grid, "x.json"); });
  };
  EXPECT_THAT(refused("{\n\"0_0_0\": [3, 1, 1]\n}\n"), HasSubstr("0_0_1"));
  EXPECT_THAT(refused("{\n\"0_0_0\": [3, 1, 1],\n\"0_0_1\": [2, 2, 2]\n}\n"),
              HasSubstr("0_0_1: expected a window of the grid 18,48,80, found 2,2,2"));
  EXPECT_THAT(refused("{\n\"0_0_0\": [3, 1, 1],\n\"0_0_1\": [3, 1, 1],\n\"1_0_0\": [3, 1, 1]\n}\n"),
              HasSubstr("found ',"));
  EXPECT_THAT(refused("{\n\"0_0_0\": [3, 1, x]"), HasSubstr("expected a number"));
}

}  // namespace
}  // namespace sparsescope::testing
