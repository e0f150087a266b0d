// Small profiles by hand: what two of them agree on, and what cannot be compared.
#include "stats/profile_compare.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/error.h"
#include "support/expect_error.h"

namespace sparsescope {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// value_of(prompt, place): the values of one head; place counts (step, layer, head).
using ValueOf = std::function<std::vector<float>(int64_t prompt, int64_t place)>;

void set(Profile& p, const std::string& name, std::vector<std::string> axes,
         std::vector<int64_t> extents, const ValueOf& value_of) {
  ProfileArray array;
  array.axes = {"prompt", "branch", "step", "layer", "head"};
  array.axes.insert(array.axes.end(), axes.begin(), axes.end());
  array.shape = {p.prompts, p.branches, p.steps, p.layers, p.heads};
  array.shape.insert(array.shape.end(), extents.begin(), extents.end());
  for (int64_t prompt = 0; prompt < p.prompts; ++prompt) {
    for (int64_t place = 0; place < p.steps * p.layers * p.heads; ++place) {
      const std::vector<float> values = value_of(prompt, place);
      array.values.insert(array.values.end(), values.begin(), values.end());
    }
  }
  p.arrays[name] = std::move(array);
}

// One layer of three heads, one branch, one step.
Profile empty_profile(int64_t prompts, std::vector<double> sigma = {1.0}) {
  Profile p;
  p.manifest = Json::object();
  p.grid = {2, 4, 4};
  p.tile = {2, 2, 2};
  p.prompts = prompts;
  p.branches = 1;
  p.steps = std::ssize(sigma);
  p.layers = 1;
  p.heads = 3;
  p.timestep = sigma;
  p.sigma = std::move(sigma);
  p.recorded.assign(static_cast<size_t>(prompts * p.steps), 1);
  return p;
}

// row_overlap [prompt][head]
Profile with_overlap(const std::vector<std::vector<float>>& values) {
  Profile p = empty_profile(std::ssize(values));
  set(p, "row_overlap", {}, {}, [&](int64_t prompt, int64_t head) {
    return std::vector<float>{values[static_cast<size_t>(prompt)][static_cast<size_t>(head)]};
  });
  return p;
}

void name_prompts(Profile& p, const std::vector<std::string>& hashes) {
  p.manifest["prompt_hashes"] = hashes;
}

StatisticAgreement only_line(const Profile& a, const Profile& b) {
  const Comparison comparison = compare_profiles(a, b);
  EXPECT_EQ(comparison.statistics.size(), 1u);
  return comparison.statistics.at(0);
}

TEST(Compare, ByHand) {
  // A's means 0.2, 0.4, 0.6; B's 0.3, 0.2, 0.5
  const Profile a = with_overlap({{0.1f, 0.3f, 0.6f}, {0.3f, 0.5f, 0.6f}});
  const Profile b = with_overlap({{0.3f, 0.2f, 0.5f}});
  const StatisticAgreement line = only_line(a, b);
  EXPECT_EQ(line.name, "row_overlap");
  EXPECT_EQ(line.heads, 3);
  EXPECT_NEAR(line.mean_a, 0.4, 1e-6);
  EXPECT_NEAR(line.mean_b, 1.0 / 3, 1e-6);
  EXPECT_NEAR(line.difference, 0.4 / 3, 1e-6);      // 0.1, 0.2, 0.1
  EXPECT_NEAR(line.spread.value(), 0.4 / 3, 1e-6);  // 0.2, 0.2, 0
  EXPECT_NEAR(line.rank.value(), 0.5, 1e-6);        // d = 1, 1, 0: 1 - 6 * 2 / (3 * 8)
  EXPECT_FALSE(line.difference_interval) << "B holds one prompt";
}

TEST(Compare, AProfileWithItselfAgreesEntirely) {
  Profile a = with_overlap({{0.1f, 0.3f, 0.6f}, {0.3f, 0.5f, 0.6f}, {0.2f, 0.5f, 0.9f}});
  name_prompts(a, {"x", "y", "z"});
  const StatisticAgreement line = only_line(a, a);
  EXPECT_EQ(line.difference, 0);
  EXPECT_NEAR(line.rank.value(), 1, 1e-12);
  EXPECT_EQ(line.difference_interval->high, 0);
  EXPECT_NEAR(line.rank_interval->low, 1, 1e-12);
}

// All heads of B lie above A's, so that the difference is that of two means.
TEST(Compare, OfOtherPromptsTheVariancesAdd) {
  const Profile a = with_overlap({{0.1f, 0.1f, 0.1f}, {0.2f, 0.2f, 0.2f}, {0.3f, 0.3f, 0.3f}});
  const Profile b = with_overlap({{0.7f, 0.7f, 0.7f}, {0.9f, 0.9f, 0.9f}});
  EXPECT_FALSE(compare_profiles(a, b).paired);
  const StatisticAgreement line = only_line(a, b);
  EXPECT_NEAR(line.difference, 0.6, 1e-6);
  // s^2 / n: 0.01 / 3 and 0.02 / 2; t(1) = 12.7062
  const double half = 12.706204736 * std::sqrt(0.01 / 3 + 0.02 / 2);
  EXPECT_EQ(line.difference_interval->low, 0) << "a distance is not negative";
  EXPECT_NEAR(line.difference_interval->high, 0.6 + half, 1e-5);
}

TEST(Compare, TheSamePromptsAreLeftOutTogether) {
  Profile a = with_overlap({{0.1f, 0.1f, 0.1f}, {0.2f, 0.2f, 0.2f}, {0.3f, 0.3f, 0.3f}});
  Profile b = with_overlap({{0.6f, 0.6f, 0.6f}, {0.45f, 0.45f, 0.45f}, {0.4f, 0.4f, 0.4f}});
  name_prompts(a, {"x", "y", "z"});
  name_prompts(b, {"z", "y", "x"});  // another order
  EXPECT_TRUE(compare_profiles(a, b).paired);
  const StatisticAgreement line = only_line(a, b);
  // differences by prompt 0.3, 0.25, 0.3: s = 0.0288675; t(2) = 4.30265
  const double half = 4.302652730 * 0.0288675135 / std::sqrt(3.0);
  EXPECT_NEAR(line.difference_interval->low, 0.2833333 - half, 1e-5);
  EXPECT_NEAR(line.difference_interval->high, 0.2833333 + half, 1e-5);

  name_prompts(b, {"z", "y", "w"});
  EXPECT_FALSE(compare_profiles(a, b).paired);
}

TEST(Compare, StepsMeetByNearestNoiseLevel) {
  Profile a = empty_profile(1, {1.0, 0.6, 0.2}), b = empty_profile(1, {1.0, 0.8, 0.62, 0.4, 0.1});
  const ValueOf step_of = [](int64_t, int64_t place) {
    return std::vector<float>{static_cast<float>(place / 3)};
  };
  set(a, "row_overlap", {}, {}, step_of);
  set(b, "row_overlap", {}, {}, step_of);
  const auto pairs_of = [](const Comparison& comparison) {
    std::vector<std::pair<int64_t, int64_t>> pairs;
    for (const StepPair& pair : comparison.steps) pairs.emplace_back(pair.a, pair.b);
    return pairs;
  };
  const Comparison found = compare_profiles(a, b);
  EXPECT_THAT(pairs_of(found), ElementsAre(std::pair(0, 0), std::pair(1, 2), std::pair(2, 4)));
  EXPECT_NEAR(found.largest_sigma_gap, 0.1, 1e-12);
  EXPECT_NEAR(found.statistics.at(0).difference, (0 + 1 + 2) / 3.0, 1e-6);
  EXPECT_THAT(pairs_of(compare_profiles(b, a)),
              ElementsAre(std::pair(0, 0), std::pair(2, 1), std::pair(4, 2)));

  b.recorded = {1, 0, 1, 0, 0};  // fewer steps than A
  EXPECT_THAT(pairs_of(compare_profiles(a, b)), ElementsAre(std::pair(0, 0), std::pair(1, 2)));
  a.sigma.assign(3, std::numeric_limits<double>::quiet_NaN());  // captures: by number
  EXPECT_THAT(pairs_of(compare_profiles(a, b)), ElementsAre(std::pair(0, 0), std::pair(2, 2)));
}

TEST(Compare, CountsOnlyHeadsThatBothMeasured) {
  const float none = std::numeric_limits<float>::quiet_NaN();
  const Profile a = with_overlap({{none, 0.3f, 0.6f}, {none, none, 0.8f}});
  const Profile b = with_overlap({{0.3f, 0.4f, 0.5f}});
  const StatisticAgreement line = only_line(a, b);
  EXPECT_EQ(line.heads, 2);
  EXPECT_NEAR(line.difference, (0.1 + 0.2) / 2, 1e-6);
  EXPECT_NEAR(line.spread.value(), 0.2, 1e-6);
  const Comparison nothing = compare_profiles(with_overlap({{none, none, none}}), b);
  EXPECT_THAT(nothing.statistics, IsEmpty());
  EXPECT_THAT(conclusion(nothing), HasSubstr("nothing that can be compared"));
}

TEST(Compare, EqualHeadsHoldNoOrder) {
  const Profile a = with_overlap({{1.0f, 0.9999999f, 1.0f}});
  EXPECT_FALSE(only_line(a, with_overlap({{0.1f, 0.2f, 0.3f}})).rank);
}

TEST(Compare, SaysWhatCannotBeComparedAndWhy) {
  Profile a = with_overlap({{0.1f, 0.2f, 0.3f}}), b = a;
  const auto constant = [](size_t count) {
    return [count](int64_t, int64_t) { return std::vector<float>(count, 0.25f); };
  };
  set(a, "key_mass", {"tile"}, {4}, constant(4));
  set(b, "key_mass", {"tile"}, {9}, constant(9));
  b.grid = {2, 6, 6};
  set(a, "frame_mass", {"frame_query", "frame_key"}, {2, 2}, constant(4));
  set(b, "frame_mass", {"frame_query", "frame_key"}, {3, 3}, constant(9));
  set(a, "novelty", {"x"}, {4}, constant(4));
  set(b, "novelty", {"y"}, {4}, constant(4));
  set(a, "sensitivity", {}, {}, constant(1));
  set(b, "entropy", {}, {}, constant(1));
  std::map<std::string, std::string> reasons;
  for (const auto& [name, reason] : compare_profiles(a, b).not_compared) reasons[name] = reason;
  EXPECT_EQ(reasons.size(), 5u);
  EXPECT_THAT(reasons["key_mass"], AllOf(HasSubstr("2,4,4"), HasSubstr("2,6,6")));
  EXPECT_THAT(reasons["frame_mass"], HasSubstr("frame_query has 2 places in A and 3 in B"));
  EXPECT_THAT(reasons["novelty"], AllOf(HasSubstr("(x) in A"), HasSubstr("(y) in B")));
  EXPECT_THAT(reasons["sensitivity"], HasSubstr("B does not hold it"));
  EXPECT_THAT(reasons["entropy"], HasSubstr("A does not hold it"));
}

// 4 tiles, of which each head has one heavy one: K(1/4) = 1.
Profile with_heavy_tiles(const std::vector<std::vector<size_t>>& tiles) {
  Profile p = empty_profile(std::ssize(tiles));
  set(p, "key_mass", {"tile"}, {4}, [&](int64_t prompt, int64_t head) {
    std::vector<float> masses(4, 0.1f);
    masses[tiles[static_cast<size_t>(prompt)][static_cast<size_t>(head)]] = 0.7f;
    return masses;
  });
  return p;
}

TEST(Compare, HeavyKeyTilesOverlapBesideChance) {
  Profile a = with_heavy_tiles({{0, 1, 2}, {0, 1, 3}, {0, 1, 2}});
  const auto found = compare_profiles(a, with_heavy_tiles({{0, 3, 2}})).heavy_tiles;
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kept, 1);
  EXPECT_DOUBLE_EQ(found->chance, 0.25);
  EXPECT_NEAR(found->jaccard, 2.0 / 3, 1e-12);
  EXPECT_NEAR(found->yardstick.value(), 7.0 / 9, 1e-12);  // head 2: one pair of three agrees
  EXPECT_FALSE(found->interval) << "B holds one prompt";
  name_prompts(a, {"x", "y", "z"});
  const auto self = compare_profiles(a, a).heavy_tiles;
  EXPECT_EQ(self->jaccard, 1);
  EXPECT_EQ(self->interval->low, 1);

  Profile other = with_heavy_tiles({{0, 1, 2}});
  other.tile = {2, 4, 2};
  EXPECT_FALSE(compare_profiles(a, other).heavy_tiles) << "tiles are places of one grid";
}

TEST(Compare, OtherModelsAreRefused) {
  const Profile a = with_overlap({{0.1f, 0.2f, 0.3f}});
  Profile b = a;
  b.heads = 4;
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { compare_profiles(a, b); }),
              HasSubstr("expected 1 layers of 3 heads as in A, found 1 of 4"));
  b = a;
  b.recorded = {0};
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { compare_profiles(a, b); }), HasSubstr("recorded"));
}

TEST(Conclusion, CountsStatisticsWithinTheSpreadAndNamesTheLeastOrder) {
  Comparison comparison;
  comparison.statistics = {
      {.name = "one", .difference = 0.1, .spread = 0.2, .rank = 0.9},
      {.name = "two", .difference = 0.3, .spread = 0.2, .rank = 0.5},
      {.name = "fixed", .difference = 0, .spread = 0, .rank = {}},
      {.name = "three", .difference = 0.2, .spread = 0.2, .rank = 0.7},
  };
  const std::string text = conclusion(comparison);
  EXPECT_THAT(text, AllOf(HasSubstr("on 2 of 3"), HasSubstr("0.70"), HasSubstr("two (0.50)")));
  comparison.statistics.resize(1);
  comparison.statistics[0].spread.reset();
  EXPECT_THAT(conclusion(comparison), HasSubstr("one prompt"));
}

}  // namespace
}  // namespace sparsescope
