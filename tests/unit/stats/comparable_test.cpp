// The numbers that stand for a statistic where grids differ.
#include "stats/comparable.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using Values = std::vector<float>;

// A profile that holds nothing but one array of one head.
Profile holding(const std::string& name, const std::vector<std::string>& axes,
                const std::vector<int64_t>& extents) {
  Profile p;
  p.grid = {4, 4, 4};
  p.tile = {2, 2, 2};
  ProfileArray array;
  array.axes = {"prompt", "branch", "step", "layer", "head"};
  array.axes.insert(array.axes.end(), axes.begin(), axes.end());
  array.shape = {1, 1, 1, 1, 1};
  array.shape.insert(array.shape.end(), extents.begin(), extents.end());
  p.arrays[name] = array;
  return p;
}

struct Reading {
  double ranked = 0;
  Values points;
  double weight = 0;
};

Reading read(const Profile& profile, const std::string& name, const Values& values) {
  const std::vector<Measure> measures = measures_of(profile, name);
  EXPECT_EQ(measures.size(), 1u);
  const Measure& measure = measures.at(0);
  Reading reading{.points = Values(static_cast<size_t>(measure.points)), .weight = measure.weight};
  reading.ranked = measure.read(values.data(), reading.points);
  return reading;
}

double distance(const Reading& a, const Reading& b) {
  double sum = 0;
  for (size_t i = 0; i < a.points.size(); ++i) sum += std::abs(a.points[i] - b.points[i]);
  return a.weight * sum;
}

Values counting(int64_t count) {
  Values values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

TEST(Measures, CurvesOverKeptFractionsAreReadAtAQuarter) {
  for (const char* axis : {"f", "kappa"}) {
    const Reading reading = read(holding("x", {axis}, {12}), "x", counting(12));
    EXPECT_EQ(fraction_grid()[static_cast<size_t>(reading.ranked)], 0.25);
    EXPECT_THAT(reading.points, ElementsAre(static_cast<float>(reading.ranked)));
  }
}

TEST(Measures, BlocksAreReadAtAQuarterOfThem) {
  EXPECT_EQ(read(holding("vmoba/st:1/x", {"k"}, {8}), "vmoba/st:1/x", counting(8)).ranked, 1);
  EXPECT_EQ(read(holding("vmoba/st:1/x", {"k"}, {9}), "vmoba/st:1/x", counting(9)).ranked, 2);
  EXPECT_EQ(read(holding("vmoba/st:1/x", {"k"}, {1}), "vmoba/st:1/x", counting(1)).ranked, 0);
}

TEST(Measures, ThresholdsAreReadInTheFirstPoolAtAHalf) {
  const Profile p = holding("vmoba/a/x", {"pool", "tau"}, {4, 19});
  EXPECT_EQ(read(p, "vmoba/a/x", counting(76)).ranked, 9);
  EXPECT_NEAR(tau_grid()[9], 0.5, 1e-12);
}

TEST(Measures, EntropyIsAShareOfItsMaximum) {
  EXPECT_NEAR(read(holding("entropy", {}, {}), "entropy", {3.0f}).ranked, 3 / std::log(64.0), 1e-6);
  EXPECT_NEAR(read(holding("row_overlap", {}, {}), "row_overlap", {0.5f}).ranked, 0.5, 1e-6);
}

TEST(Measures, MomentsStandAlone) {
  const std::vector<Measure> measures = measures_of(holding("m", {"moment"}, {4}), "m");
  ASSERT_EQ(measures.size(), 4u);
  EXPECT_EQ(measures[2].name, "m/skewness");
  Values point(1);
  EXPECT_EQ(measures[2].read(counting(4).data(), point), 2);
}

TEST(Measures, CosinesAreSharesWithTheirMean) {
  const Profile p = holding("query_cosine", {"bin"}, {4});  // centres -3/4, -1/4, 1/4, 3/4
  const Reading one = read(p, "query_cosine", {0, 0, 30, 10});
  EXPECT_NEAR(one.ranked, 0.75 * 0.25 + 0.25 * 0.75, 1e-6);
  EXPECT_THAT(one.points, ElementsAre(0, 0, 0.75f, 0.25f));
  EXPECT_NEAR(distance(one, read(p, "query_cosine", {0, 5, 10, 5})), 0.25, 1e-6);
  EXPECT_EQ(distance(one, read(p, "query_cosine", {0, 0, 3, 1})), 0);
}

TEST(Measures, DistancesAreRelativeToTheAxis) {
  const Profile two = holding("mass_dt", {"distance_t"}, {2});
  const Profile four = holding("mass_dt", {"distance_t"}, {4});
  const Profile three = holding("mass_dt", {"distance_t"}, {3});
  const Reading coarse = read(two, "mass_dt", {0.75f, 0.25f});
  const Reading fine = read(four, "mass_dt", {0.375f, 0.375f, 0.125f, 0.125f});
  EXPECT_NEAR(coarse.ranked, 0.75 * 0.25 + 0.25 * 0.75, 1e-6);
  EXPECT_NEAR(fine.ranked, coarse.ranked, 1e-6);
  EXPECT_NEAR(distance(coarse, fine), 0, 1e-6);
  EXPECT_THAT(coarse.points.back(), FloatNear(1, 1e-6f));
  // All mass two frames of four further: half the axis.
  EXPECT_NEAR(distance(read(four, "mass_dt", {1, 0, 0, 0}), read(four, "mass_dt", {0, 0, 1, 0})),
              0.5, 1e-6);
  // An even spread is the same at any length; what text keys take does not count.
  EXPECT_NEAR(
      distance(read(three, "mass_dt", {0.25f, 0.25f, 0.25f}), read(two, "mass_dt", {0.5f, 0.5f})),
      0, 1e-6);
}

TEST(Measures, MassesOnPlacesDifferByTheirTotalVariation) {
  const Profile p = holding("key_mass", {"tile"}, {4});
  const Reading one = read(p, "key_mass", {0.5f, 0.5f, 0, 0});
  EXPECT_EQ(one.ranked, 0.5);
  EXPECT_NEAR(distance(one, read(p, "key_mass", {0, 0.5f, 0.5f, 0})), 0.5, 1e-6);
  const Profile frames = holding("frame_mass", {"frame_query", "frame_key"}, {2, 2});
  EXPECT_NEAR(
      distance(read(frames, "frame_mass", {1, 0, 0, 1}), read(frames, "frame_mass", {0, 1, 1, 0})),
      1, 1e-6);
  const Profile offsets = holding("offset_mass", {"offset_t", "offset_h", "offset_w"}, {1, 1, 2});
  EXPECT_NEAR(distance(read(offsets, "offset_mass", {1, 0}), read(offsets, "offset_mass", {0, 1})),
              1, 1e-6);
}

TEST(Measures, CosinesOfWindowsAreThePlainValues) {
  const Profile p = holding("window_cosine", {"window"}, {2});
  const Reading one = read(p, "window_cosine", {0.75f, 0.25f});
  EXPECT_EQ(one.ranked, 0.5);
  EXPECT_NEAR(distance(one, read(p, "window_cosine", {0.5f, 0.5f})), 0.25, 1e-6);
}

TEST(Obstacle, WindowsAreComparedWhereTheTilesAre) {
  const Profile a = holding("window_cosine", {"window"}, {5});
  Profile b = a;
  b.grid = {4, 6, 8};
  EXPECT_EQ(obstacle(a, b, "window_cosine"), "");
  b.tile = {1, 4, 4};  // five windows too
  EXPECT_EQ(obstacle(a, b, "window_cosine"),
            "its windows are cut from tiles of 2,2,2 in A and of 1,4,4 in B");
}

TEST(Measures, OfUnknownAxesAreThePlainValues) {
  const Reading reading = read(holding("new", {"x"}, {2}), "new", {1, 3});
  EXPECT_EQ(reading.ranked, 2);
  EXPECT_EQ(reading.weight, 0.5);
  EXPECT_TRUE(measures_of(holding("new", {"x"}, {0}), "new").empty());
}

}  // namespace
}  // namespace sparsescope
