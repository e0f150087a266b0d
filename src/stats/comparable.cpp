#include "stats/comparable.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "capture/query_windows.h"
#include "stats/profile_schema.h"

namespace sparsescope {
namespace {

constexpr double kFraction = 0.25;  // where curves over kept fractions are compared
constexpr double kTau = 0.5;
constexpr int64_t kDistancePoints = 16;  // of a cumulative curve over relative distances

using Axes = std::vector<std::string>;

Axes own_axes(const ProfileArray& array) {
  return {array.axes.begin() + static_cast<std::ptrdiff_t>(kLeadingAxes.size()), array.axes.end()};
}

int64_t place_in(const std::vector<double>& grid, double value) {
  const auto nearest = std::min_element(grid.begin(), grid.end(), [&](double a, double b) {
    return std::abs(a - value) < std::abs(b - value);
  });
  return nearest - grid.begin();
}

Measure single_value(const std::string& name, const std::string& what, int64_t place,
                     double scale = 1) {
  return {.name = name,
          .what = what,
          .read = [place, scale](const float* values, std::span<float> points) {
            const double value = scale * values[place];
            points[0] = static_cast<float>(value);
            return value;
          }};
}

std::vector<Measure> moments(const std::string& name) {
  std::vector<Measure> measures;
  const Axis axis = describe_axis("moment", 4);
  for (size_t i = 0; i < axis.labels.size(); ++i) {
    measures.push_back(single_value(name + "/" + axis.labels[i], "", static_cast<int64_t>(i)));
  }
  return measures;
}

Measure cosine_shares(const std::string& name, int64_t bins) {
  return {.name = name,
          .what = "mean cosine",
          .points = bins,
          .weight = 0.5,
          .read = [bins](const float* counts, std::span<float> points) {
            const double all = std::accumulate(counts, counts + bins, 0.0);
            double mean = 0;
            for (int64_t i = 0; i < bins; ++i) {
              const double centre = (2.0 * static_cast<double>(i) + 1) / static_cast<double>(bins);
              points[static_cast<size_t>(i)] = static_cast<float>(counts[i] / all);
              mean += counts[i] / all * (centre - 1);
            }
            return mean;
          }};
}

// The mass of distance d lies evenly over [d, d + 1) of `extent`.
Measure distance_curve(const std::string& name, int64_t extent) {
  return {
      .name = name,
      .what = "mean relative distance",
      .points = kDistancePoints,
      .weight = 1.0 / kDistancePoints,
      .read = [extent](const float* mass, std::span<float> points) {
        const double all = std::accumulate(mass, mass + extent, 0.0);
        double mean = 0, below = 0;
        for (int64_t d = 0, point = 0; d < extent; ++d) {
          const auto end_of = [&](int64_t at) {
            return static_cast<double>(at + 1) * static_cast<double>(extent) / kDistancePoints;
          };
          for (; point < kDistancePoints && end_of(point) <= static_cast<double>(d + 1); ++point) {
            const double part = end_of(point) - static_cast<double>(d);
            points[static_cast<size_t>(point)] = static_cast<float>((below + part * mass[d]) / all);
          }
          below += mass[d];
          mean += mass[d] / all * (static_cast<double>(d) + 0.5) / static_cast<double>(extent);
        }
        return mean;
      }};
}

// sums: how many distributions the values hold side by side.
Measure masses(const std::string& name, int64_t count, int64_t sums) {
  return {.name = name,
          .what = "largest",
          .points = count,
          .weight = 0.5 / static_cast<double>(sums),
          .read = [count](const float* values, std::span<float> points) {
            std::copy_n(values, count, points.begin());
            return static_cast<double>(*std::max_element(values, values + count));
          }};
}

Measure plain_values(const std::string& name, int64_t count) {
  return {.name = name,
          .what = "mean",
          .points = count,
          .weight = 1.0 / static_cast<double>(count),
          .read = [count](const float* values, std::span<float> points) {
            std::copy_n(values, count, points.begin());
            return std::accumulate(values, values + count, 0.0) / static_cast<double>(count);
          }};
}

bool hangs_on_tiles(const Axes& axes) {
  return std::any_of(axes.begin(), axes.end(), [](const std::string& axis) {
    return axis == "tile" || axis == "query_tile" || axis.starts_with("offset_");
  });
}

bool relative(const Axes& axes) {
  return axes.empty() || axes == Axes{"k"} ||
         (axes.size() == 1 && axes[0].starts_with("distance_"));
}

}  // namespace

std::vector<Measure> measures_of(const Profile& profile, const std::string& statistic) {
  const ProfileArray& array = profile.arrays.at(statistic);
  const Axes axes = own_axes(array);
  const int64_t count = profile.trailing(statistic);
  const std::string& name = statistic;
  if (count == 0) return {};
  if (axes.empty() && name == "entropy") {
    const auto tokens = static_cast<double>(profile.grid.tokens());
    return {single_value(name, "over ln S", 0, 1 / std::log(std::max(tokens, 2.0)))};
  }
  if (axes.empty()) return {single_value(name, "", 0)};
  const auto grid_size = std::ssize(fraction_grid());
  if ((axes == Axes{"f"} || axes == Axes{"kappa"}) && count == grid_size) {
    return {single_value(name, axes[0] + " = 1/4", place_in(fraction_grid(), kFraction))};
  }
  if (axes == Axes{"k"}) {
    return {single_value(name, "1/4 of blocks", kept_count(kFraction, count) - 1)};
  }
  if (axes == Axes{"pool", "tau"} && array.shape.back() == std::ssize(tau_grid())) {
    return {single_value(name, "tau = 0.5", place_in(tau_grid(), kTau))};  // pool 0: query_head
  }
  if (axes == Axes{"moment"} && count == 4) return moments(name);
  if (name == "query_cosine") return {cosine_shares(name, count)};
  if (relative(axes)) return {distance_curve(name, count)};
  if (axes == Axes{"frame_query", "frame_key"}) return {masses(name, count, array.shape.back())};
  if (hangs_on_tiles(axes)) return {masses(name, count, 1)};
  return {plain_values(name, count)};
}

std::string obstacle(const Profile& a, const Profile& b, const std::string& statistic) {
  const ProfileArray& left = a.arrays.at(statistic);
  const ProfileArray& right = b.arrays.at(statistic);
  const Axes axes = own_axes(left), others = own_axes(right);
  if (axes != others) {
    return fmt::format("its axes are ({}) in A and ({}) in B", fmt::join(axes, ", "),
                       fmt::join(others, ", "));
  }
  if (relative(axes)) return "";
  if (axes == Axes{"window"} &&
      query_windows(TileGrid(a.grid, a.tile)) != query_windows(TileGrid(b.grid, b.tile))) {
    return fmt::format("its windows are cut from tiles of {} in A and of {} in B",
                       to_string(a.tile), to_string(b.tile));
  }
  if (hangs_on_tiles(axes) && !(a.grid == b.grid && a.tile == b.tile)) {
    return fmt::format(
        "tiles are places of one grid: {} in tiles of {} in A, {} in tiles of {} in B",
        to_string(a.grid), to_string(a.tile), to_string(b.grid), to_string(b.tile));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t in_a = left.shape[kLeadingAxes.size() + i],
                  in_b = right.shape[kLeadingAxes.size() + i];
    if (in_a != in_b) {
      return fmt::format("its axis {} has {} places in A and {} in B", axes[i], in_a, in_b);
    }
  }
  return "";
}

}  // namespace sparsescope
