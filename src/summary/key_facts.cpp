#include "summary/key_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/token_grid.h"
#include "summary/site_numbers.h"

namespace sparsescope {
namespace {

constexpr double kSinkFraction = 0.01;
constexpr double kLowHeads = 0.05, kHighHeads = 0.95;

class Facts {
 public:
  Facts(const Profile& profile, const SummaryOptions& options)
      : profile_(profile),
        options_(options),
        tiles_(profile.grid, profile.tile),
        entropy_(entropy_over_most()) {}

  KeyFacts run() {
    const std::vector<double>& fractions = fraction_grid();
    const auto nearest =
        std::min_element(fractions.begin(), fractions.end(), [&](double a, double b) {
          return std::abs(a - options_.budget) < std::abs(b - options_.budget);
        });
    const auto place = static_cast<size_t>(nearest - fractions.begin());
    KeyFacts result{.budget = *nearest};
    add_facts(result);
    for (size_t i = 0; i < fractions.size(); ++i) result.coverage.push_back(coverage_line(i));
    add_layers(place, result);
    result.sinks = sinks();
    add_spreads(place, result);
    result.sampling = sampling();
    return result;
  }

 private:
  // Over the entropy of a row that attends to all its keys evenly: 1 at most.
  SiteNumbers entropy_over_most() const {
    const double most = std::log(std::max(2.0, static_cast<double>(profile_.grid.tokens())));
    return {profile_, [this, most](const ProfileSite& site) {
              return profile_.at("entropy", site.prompt, site.branch, site.step, site.layer,
                                 site.head)[0] /
                     most;
            }};
  }

  void add_fact(const std::string& name, const std::string& unit, const SiteNumbers& numbers,
                KeyFacts& result) const {
    const std::vector<double> heads = numbers.by_head();
    result.facts.push_back({.name = name,
                            .unit = unit,
                            .mean = numbers.mean({}, options_.confidence, kPositive),
                            .low = known_quantile(heads, kLowHeads),
                            .high = known_quantile(heads, kHighHeads)});
  }

  void add_facts(KeyFacts& result) const {
    add_fact("entropy", "nat", numbers_of(profile_, "entropy"), result);
    add_fact("entropy over ln S", "", entropy_, result);
    add_fact("row_overlap", "fraction", numbers_of(profile_, "row_overlap"), result);
    if (profile_.arrays.contains("prefix_mass")) {
      add_fact("prefix_mass", "probability", numbers_of(profile_, "prefix_mass"), result);
    }
  }

  CoverageLine coverage_line(size_t i) const {
    const double fraction = fraction_grid()[i];
    const int64_t kept = kept_count(fraction, tiles_.num_tiles());
    const SiteNumbers row = numbers_of(profile_, "coverage_row", i),
                      tile = numbers_of(profile_, "coverage_tile", i),
                      pooled = numbers_of(profile_, "coverage_pooled", i);
    const auto mean = [&](const SiteNumbers& numbers) {
      return numbers.mean({}, options_.confidence, kShareBounds);
    };
    const auto difference = [&](const SiteNumbers& more, const SiteNumbers& less) {
      const SiteNumbers lost(
          profile_, [&](const ProfileSite& site) { return more.at(site) - less.at(site); });
      return lost.mean({}, options_.confidence);
    };
    return {.fraction = fraction,
            .kept = kept,
            .chance = static_cast<double>(kept) / static_cast<double>(tiles_.num_tiles()),
            .row = mean(row),
            .tile = mean(tile),
            .pooled = mean(pooled),
            .sharing = difference(row, tile),
            .ranking = difference(tile, pooled)};
  }

  void add_layers(size_t place, KeyFacts& result) const {
    const SiteNumbers row = numbers_of(profile_, "coverage_row", place),
                      tile = numbers_of(profile_, "coverage_tile", place),
                      pooled = numbers_of(profile_, "coverage_pooled", place),
                      overlap = numbers_of(profile_, "row_overlap");
    for (int64_t layer = 0; layer < profile_.layers; ++layer) {
      const auto mean = [&](const SiteNumbers& numbers) {
        return numbers.mean({.layer = layer}, options_.confidence, kShareBounds);
      };
      const LayerFacts line{layer,      mean(entropy_), mean(row),
                            mean(tile), mean(pooled),   mean(overlap)};
      if (line.entropy.known()) result.layers.push_back(line);
    }
  }

  SinkFacts sinks() const {
    const int64_t num_tiles = tiles_.num_tiles();
    const auto count = static_cast<size_t>(num_tiles);
    SinkFacts facts{.kept = kept_count(kSinkFraction, num_tiles),
                    .heads_chance = 1.0 / static_cast<double>(num_tiles)};
    facts.chance = static_cast<double>(facts.kept) * facts.heads_chance;
    const SiteNumbers heaviest(profile_, [&](const ProfileSite& site) {
      const std::span<const float> masses = site_values(profile_, "key_mass", site, count);
      std::vector<float> sorted(masses.begin(), masses.end());
      const auto end = sorted.begin() + facts.kept;
      std::partial_sort(sorted.begin(), end, sorted.end(), std::greater<>());
      double sum = 0;
      for (auto mass = sorted.begin(); mass != end; ++mass) sum += *mass;
      return sum;
    });
    facts.share = heaviest.mean({}, options_.confidence, kShareBounds);

    std::map<int64_t, int64_t> heads_by_tile;
    int64_t heads = 0;
    for (int64_t layer = 0; layer < profile_.layers; ++layer) {
      for (int64_t head = 0; head < profile_.heads; ++head) {
        const std::vector<double> mean = mean_values(
            profile_, "key_mass", recorded_prompts(profile_), {.layer = layer, .head = head});
        if (mean.empty()) continue;
        ++heads;
        ++heads_by_tile[std::max_element(mean.begin(), mean.end()) - mean.begin()];
      }
    }
    for (const auto& [tile, held] : heads_by_tile) {
      const double share = static_cast<double>(held) / static_cast<double>(heads);
      if (share <= facts.heads) continue;
      facts.tile = tile;
      facts.heads = share;
    }
    facts.place = {facts.tile / (tiles_.tiles_h() * tiles_.tiles_w()),
                   facts.tile / tiles_.tiles_w() % tiles_.tiles_h(), facts.tile % tiles_.tiles_w()};
    return facts;
  }

  void add_spreads(size_t place, KeyFacts& result) const {
    const auto add = [&](const std::string& name, const SiteNumbers& numbers) {
      result.spreads.push_back(
          {name, spreads_of(profile_, numbers), variance_shares(profile_, numbers)});
    };
    const std::string at = fmt::format(" ({:.4g})", fraction_grid()[place]);
    add("entropy over ln S", entropy_);
    add("row_overlap", numbers_of(profile_, "row_overlap"));
    for (const char* name : {"coverage_row", "coverage_tile", "coverage_pooled", "error_pooled"}) {
      if (profile_.arrays.contains(name)) add(name + at, numbers_of(profile_, name, place));
    }
  }

  RowSampling sampling() const {
    RowSampling facts{.rows_per_tile = profile_.rows_per_tile, .rows = profile_.grid.tokens()};
    const auto record = profile_.manifest.find("run");
    const Json& settings = record == profile_.manifest.end() ? profile_.manifest : *record;
    facts.error_tiles = settings.is_object() ? settings.value("error_tiles", int64_t{0}) : 0;
    if (facts.rows_per_tile == 0) return facts;
    const auto all = static_cast<double>(facts.rows);
    const double share =
        static_cast<double>(facts.rows_per_tile) / static_cast<double>(tiles_.size(0));
    facts.rows = std::llround(share * all);
    facts.largest_error = 0.5 * std::sqrt((1 - share) / (share * all));
    return facts;
  }

  const Profile& profile_;
  const SummaryOptions& options_;
  TileGrid tiles_;
  SiteNumbers entropy_;
};

}  // namespace

KeyFacts find_key_facts(const Profile& profile, const SummaryOptions& options) {
  return Facts(profile, options).run();
}

}  // namespace sparsescope
