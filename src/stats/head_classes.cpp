#include "stats/head_classes.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace sparsescope {
namespace {

using Extents = std::array<int64_t, 3>;  // of t, h, w

Extents extents_of(const TileGrid& tiles) {
  return {tiles.tiles_t(), tiles.tiles_h(), tiles.tiles_w()};
}

// Along one axis: the share of pairs of tokens whose tiles lie d apart. [count]
std::vector<double> pair_shares(int64_t length, int64_t tile, int64_t count) {
  std::vector<double> shares(static_cast<size_t>(count), 0.0);
  const auto extent = [&](int64_t i) {
    return static_cast<double>(std::min(tile, length - i * tile)) / static_cast<double>(length);
  };
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < count; ++j) {
      shares[static_cast<size_t>(std::abs(i - j))] += extent(i) * extent(j);
    }
  }
  return shares;
}

std::array<std::vector<double>, 3> axis_shares(const TileGrid& tiles) {
  const TokenGrid& grid = tiles.grid();
  const TileShape& shape = tiles.shape();
  return {pair_shares(grid.t, shape.t, tiles.tiles_t()),
          pair_shares(grid.h, shape.h, tiles.tiles_h()),
          pair_shares(grid.w, shape.w, tiles.tiles_w())};
}

double total(std::span<const float> masses) {
  const double sum = std::accumulate(masses.begin(), masses.end(), 0.0);
  SPARSESCOPE_CHECK(ErrorKind::kData, sum > 0, "a head's masses: expected a sum above 0, found {}",
                    sum);
  return sum;
}

double sum_of_box(std::span<const float> offset_mass, const Extents& extents,
                  const Extents& radius) {
  double sum = 0;
  for (int64_t t = 0; t <= radius[0]; ++t) {
    for (int64_t h = 0; h <= radius[1]; ++h) {
      const auto* line = offset_mass.data() + (t * extents[1] + h) * extents[2];
      sum = std::accumulate(line, line + radius[2] + 1, sum);
    }
  }
  return sum;
}

// The boxes of a neighbourhood, each inside the next.
std::vector<Extents> growing_boxes(const Extents& extents, const std::array<bool, 3>& axes) {
  std::vector<Extents> boxes{{0, 0, 0}};
  // Stages: the named axes, then the rest of the frame, then time.
  const auto stage_of = [&](size_t axis) { return axes[axis] ? 0 : axis > 0 ? 1 : 2; };
  for (int stage = 0; stage < 3; ++stage) {
    while (true) {
      Extents next = boxes.back();
      for (size_t axis = 0; axis < 3; ++axis) {
        if (stage_of(axis) == stage) next[axis] = std::min(next[axis] + 1, extents[axis] - 1);
      }
      if (next == boxes.back()) break;
      boxes.push_back(next);
    }
  }
  return boxes;
}

double best_of(const TileGrid& tiles, std::span<const float> offset_mass, double budget,
               std::initializer_list<std::array<bool, 3>> candidates) {
  const Extents extents = extents_of(tiles);
  double best = 0;
  for (const std::array<bool, 3>& axes : candidates) {
    bool telling = true;
    for (size_t axis = 0; axis < 3; ++axis) telling = telling && (!axes[axis] || extents[axis] > 1);
    if (telling) best = std::max(best, neighbourhood_mass(tiles, offset_mass, axes, budget));
  }
  return best;
}

HeadClass class_of(const HeadClassification& masses) {
  const std::pair<double, HeadClass> candidates[] = {
      {masses.local_3d + kClassMargin, HeadClass::kLocal3d},
      {masses.spatial, HeadClass::kSpatial},
      {masses.temporal, HeadClass::kTemporal},
      {masses.sink, HeadClass::kSink}};
  const auto winner = std::max_element(
      std::begin(candidates), std::end(candidates),
      [](const auto& left, const auto& right) { return left.first < right.first; });
  const double mass = winner->second == HeadClass::kLocal3d ? masses.local_3d : winner->first;
  const double gain = (mass - masses.chance) / (1 - masses.chance);
  if (gain >= kClearGain) return winner->second;
  return gain <= kEvenGain ? HeadClass::kGlobal : HeadClass::kNone;
}

}  // namespace

std::string_view to_string(HeadClass head_class) {
  static constexpr std::string_view kNames[kNumHeadClasses] = {"spatial", "temporal", "local_3d",
                                                               "global",  "sink",     "none"};
  return kNames[static_cast<size_t>(head_class)];
}

double neighbourhood_mass(const TileGrid& tiles, std::span<const float> offset_mass,
                          const std::array<bool, 3>& axes, double budget) {
  const Extents extents = extents_of(tiles);
  SPARSESCOPE_ASSERT(std::ssize(offset_mass) == tiles.num_tiles() && budget > 0 && budget < 1);
  const auto shares = axis_shares(tiles);
  double density_before = 0, mass_before = 0;  // of the box before, which the budget covers
  for (const Extents& radius : growing_boxes(extents, axes)) {
    double density = 1;
    for (size_t axis = 0; axis < 3; ++axis) {
      const auto first = shares[axis].begin();
      density *= std::accumulate(first, first + radius[axis] + 1, 0.0);
    }
    const double mass = sum_of_box(offset_mass, extents, radius);
    if (density > budget) {
      const double covered = (budget - density_before) / (density - density_before);
      return (mass_before + covered * (mass - mass_before)) / total(offset_mass);
    }
    density_before = density;
    mass_before = mass;
  }
  return 1.0;  // the last box holds all pairs; it exceeds the budget but for rounding
}

double heaviest_keys_mass(const TileGrid& tiles, std::span<const float> key_mass, double budget) {
  SPARSESCOPE_ASSERT(std::ssize(key_mass) == tiles.num_tiles());
  const auto mass_a_key = [&](int64_t tile) {
    return key_mass[static_cast<size_t>(tile)] / static_cast<double>(tiles.size(tile));
  };
  std::vector<int64_t> order(key_mass.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return mass_a_key(a) > mass_a_key(b); });
  double keys_left = budget * static_cast<double>(tiles.grid().tokens()), mass = 0;
  for (const int64_t tile : order) {
    const double taken = std::min(keys_left, static_cast<double>(tiles.size(tile)));
    if (taken <= 0) break;
    mass += taken * mass_a_key(tile);
    keys_left -= taken;
  }
  return mass / total(key_mass);
}

HeadClassification classify_head(const TileGrid& tiles, std::span<const float> offset_mass,
                                 std::span<const float> key_mass, double budget) {
  HeadClassification result{.chance = budget};
  result.temporal = best_of(tiles, offset_mass, budget, {{true, false, false}});
  result.spatial = best_of(tiles, offset_mass, budget,
                           {{false, true, true}, {false, true, false}, {false, false, true}});
  result.local_3d = best_of(tiles, offset_mass, budget,
                            {{true, true, true}, {true, true, false}, {true, false, true}});
  result.sink = heaviest_keys_mass(tiles, key_mass, budget);
  result.head_class = class_of(result);
  return result;
}

std::vector<float> even_offset_mass(const TileGrid& tiles) {
  const auto shares = axis_shares(tiles);
  std::vector<float> masses;
  for (const double t : shares[0]) {
    for (const double h : shares[1]) {
      for (const double w : shares[2]) masses.push_back(static_cast<float>(t * h * w));
    }
  }
  return masses;
}

std::array<double, kNumHeadClasses> class_shares(std::span<const HeadClass> heads) {
  std::array<double, kNumHeadClasses> shares{};
  for (const HeadClass head : heads) {
    shares[static_cast<size_t>(head)] += 1.0 / static_cast<double>(heads.size());
  }
  return shares;
}

}  // namespace sparsescope
