#include "summary/query_premise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/token_grid.h"
#include "stats/profile_schema.h"
#include "summary/site_numbers.h"

namespace sparsescope {
namespace {

constexpr Interval kCosineBounds{-1, 1};

struct Least {
  double value = kNotKnown;
  int64_t layer = 0, head = 0;
};

Least least_of(const std::vector<double>& by_head, int64_t heads) {
  Least least;
  for (size_t i = 0; i < by_head.size(); ++i) {
    if (std::isnan(by_head[i]) || by_head[i] >= least.value) continue;
    least = {by_head[i], static_cast<int64_t>(i) / heads, static_cast<int64_t>(i) % heads};
  }
  return least;
}

// Mean cosine of a histogram, at the centres of its bins.
SiteNumbers tile_cosines(const Profile& profile) {
  const auto bins = static_cast<size_t>(profile.trailing("query_cosine"));
  return {profile, [&profile, bins](const ProfileSite& site) {
            const std::span<const float> counts = site_values(profile, "query_cosine", site, bins);
            double rows = 0, sum = 0;
            for (size_t bin = 0; bin < bins; ++bin) {
              rows += counts[bin];
              sum += counts[bin] *
                     ((2.0 * static_cast<double>(bin) + 1) / static_cast<double>(bins) - 1);
            }
            return rows > 0 ? sum / rows : kNotKnown;
          }};
}

double share_alike(const std::vector<double>& by_head) {
  double alike = 0, known = 0;
  for (const double cosine : by_head) {
    if (std::isnan(cosine)) continue;
    ++known;
    alike += cosine >= kAlikeCosine ? 1 : 0;
  }
  return known > 0 ? alike / known : kNotKnown;
}

}  // namespace

QueryPremise find_query_premise(const Profile& profile, const SummaryOptions& options) {
  QueryPremise result;
  std::vector<SiteNumbers> cosines;
  const auto add = [&](const std::string& window, bool of_tile, SiteNumbers numbers) {
    const std::vector<double> by_head = numbers.by_head();
    const Least least = least_of(by_head, profile.heads);
    result.windows.push_back({.window = window,
                              .of_tile = of_tile,
                              .mean = numbers.mean({}, options.confidence, kCosineBounds),
                              .least = least.value,
                              .least_layer = least.layer,
                              .least_head = least.head,
                              .alike = share_alike(by_head)});
    cosines.push_back(std::move(numbers));
  };
  if (profile.arrays.contains("window_cosine")) {
    const int64_t count = profile.trailing("window_cosine");
    const Axis axis = describe_axis("window", count, TileGrid(profile.grid, profile.tile));
    for (int64_t i = 0; i < count; ++i) {
      const auto index = static_cast<size_t>(i);
      add(index < axis.labels.size() ? axis.labels[index] : fmt::format("window {}", i), false,
          numbers_of(profile, "window_cosine", index));
    }
  }
  add(to_string(profile.tile), true, tile_cosines(profile));
  const SiteNumbers overlap = numbers_of(profile, "row_overlap");
  result.row_overlap = overlap.mean({}, options.confidence, kShareBounds);
  const Least least = least_of(overlap.by_head(), profile.heads);
  result.least_overlap = least.value;
  result.least_layer = least.layer;
  result.least_head = least.head;
  for (int64_t layer = 0; layer < profile.layers; ++layer) {
    const SiteRange range{.layer = layer};
    LayerAlikeness line{.layer = layer,
                        .row_overlap = overlap.mean(range, options.confidence, kShareBounds)};
    if (!line.row_overlap.known()) continue;
    for (const SiteNumbers& numbers : cosines) {
      line.cosines.push_back(numbers.mean(range, options.confidence, kCosineBounds));
    }
    result.layers.push_back(std::move(line));
  }
  return result;
}

}  // namespace sparsescope
