#include "summary/recall_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/error.h"
#include "derive/candidates.h"
#include "stats/rank_correlation.h"
#include "summary/site_numbers.h"

namespace sparsescope {
namespace {

constexpr double kTau = 0.25;  // of the published files
constexpr Interval kCorrelationBounds{-1, 1};

struct MeasuredSetting {
  std::string method, text;
  std::string recall, error, effect;  // arrays
  size_t index = 0;
  bool is_threshold = false;
};

size_t nearest_place(const std::vector<double>& grid, double value) {
  const auto nearest = std::min_element(grid.begin(), grid.end(), [&](double a, double b) {
    return std::abs(a - value) < std::abs(b - value);
  });
  return static_cast<size_t>(nearest - grid.begin());
}

void add_partition(const Profile& profile, const Partition& partition, double budget,
                   std::vector<MeasuredSetting>& settings) {
  const std::string name = to_string(partition), folder = "vmoba/" + name + "/";
  const int64_t blocks = profile.trailing(folder + "recall_topk");
  const int64_t kept = kept_count(budget, blocks);
  settings.push_back({"VMoBA", fmt::format("{}, {} of {} blocks", name, kept, blocks),
                      folder + "recall_topk", folder + "error_topk", folder + "effect_topk",
                      static_cast<size_t>(kept - 1)});
  const size_t tau = nearest_place(tau_grid(), kTau);
  for (const auto& [pool, text] : {std::pair{0u, "query_head"}, {1u, "head_global"}}) {
    settings.push_back({"VMoBA", fmt::format("{}, tau {} of {}", name, tau_grid()[tau], text),
                        folder + "recall_tau", folder + "error_tau", folder + "effect_tau",
                        pool * tau_grid().size() + tau, true});
  }
}

std::vector<MeasuredSetting> settings_of(const Profile& profile, double budget) {
  const size_t place = nearest_place(fraction_grid(), budget);
  const int64_t num_tiles = TileGrid(profile.grid, profile.tile).num_tiles();
  const double fraction = fraction_grid()[place];
  const std::string kappa = fmt::format("kappa {:.4g}", fraction);
  std::vector<MeasuredSetting> settings = {
      {"VSA", fmt::format("{} of {} tiles", kept_count(fraction, num_tiles), num_tiles),
       "coverage_pooled", "error_pooled", "effect_pooled", place},
      {"BSA", kappa, "bsa_recall", "bsa_error", "bsa_effect", place},
      {"BSA, all queries", kappa, "bsa_recall", "bsa_error_unpruned", "bsa_effect_unpruned",
       place}};
  const bool has_partitions =
      std::any_of(profile.arrays.begin(), profile.arrays.end(),
                  [](const auto& entry) { return entry.first.ends_with("/error_topk"); });
  if (has_partitions) {
    for (const Partition& partition : measured_partitions(profile)) {
      add_partition(profile, partition, budget, settings);
    }
  }
  std::erase_if(settings, [&](const MeasuredSetting& setting) {
    return !profile.arrays.contains(setting.recall) || !profile.arrays.contains(setting.error);
  });
  return settings;
}

// Spearman's correlation of two numbers over places.
class PlaceRanks {
 public:
  PlaceRanks(const Profile& profile, const SiteNumbers& left, const SiteNumbers& right)
      : profile_(profile), left_(left), right_(right) {}

  // By the means over the prompts but one (-1: of all) that have both numbers; layer -1: over all.
  double correlation(const std::vector<int64_t>& prompts, int64_t left_out, int64_t layer) const {
    const Pairs pairs = pairs_of(prompts, left_out, layer);
    return pairs.left.size() < 2 ? kNotKnown
                                 : rank_correlation(pairs.left, pairs.right).value_or(kNotKnown);
  }

  double within_layers(const std::vector<int64_t>& prompts, int64_t left_out) const {
    std::vector<double> layers;
    for (int64_t layer = 0; layer < profile_.layers; ++layer) {
      layers.push_back(correlation(prompts, left_out, layer));
    }
    return known_mean(layers);
  }

  int64_t places(const std::vector<int64_t>& prompts) const {
    return std::ssize(pairs_of(prompts, -1, -1).left);
  }

 private:
  struct Pairs {
    std::vector<double> left, right;  // [places]
  };

  Pairs pairs_of(const std::vector<int64_t>& prompts, int64_t left_out, int64_t layer) const {
    Pairs pairs;
    for (int64_t b = 0; b < profile_.branches; ++b) {
      for (int64_t s = 0; s < profile_.steps; ++s) {
        for (int64_t l = 0; l < profile_.layers; ++l) {
          if (layer >= 0 && l != layer) continue;
          for (int64_t h = 0; h < profile_.heads; ++h) {
            add_place(prompts, left_out, {0, b, s, l, h}, pairs);
          }
        }
      }
    }
    return pairs;
  }

  void add_place(const std::vector<int64_t>& prompts, int64_t left_out, ProfileSite place,
                 Pairs& pairs) const {
    double left = 0, right = 0, count = 0;
    for (size_t i = 0; i < prompts.size(); ++i) {
      if (static_cast<int64_t>(i) == left_out) continue;
      place.prompt = prompts[i];
      const double a = left_.at(place), b = right_.at(place);
      if (std::isnan(a) || std::isnan(b)) continue;
      left += a;
      right += b;
      ++count;
    }
    if (count == 0) return;
    pairs.left.push_back(left / count);
    pairs.right.push_back(right / count);
  }

  const Profile& profile_;
  const SiteNumbers& left_;
  const SiteNumbers& right_;
};

std::vector<RankedHead> ranked_heads(const Profile& profile, const SiteNumbers& missed,
                                     const SiteNumbers& error) {
  const std::vector<double> all_missed = missed.by_head(), all_errors = error.by_head();
  std::vector<RankedHead> heads;
  std::vector<double> known_missed, known_errors;
  for (size_t i = 0; i < all_missed.size(); ++i) {
    if (std::isnan(all_missed[i]) || std::isnan(all_errors[i])) continue;
    known_missed.push_back(all_missed[i]);
    known_errors.push_back(all_errors[i]);
    heads.push_back({.layer = static_cast<int64_t>(i) / profile.heads,
                     .head = static_cast<int64_t>(i) % profile.heads,
                     .missed = all_missed[i],
                     .error = all_errors[i]});
  }
  const std::vector<double> by_missed = ranks_of(known_missed), by_error = ranks_of(known_errors);
  const double most = std::max(1.0, static_cast<double>(heads.size()) - 1);
  for (size_t i = 0; i < heads.size(); ++i) {
    heads[i].missed_rank = by_missed[i] / most;
    heads[i].error_rank = by_error[i] / most;
  }
  std::stable_sort(heads.begin(), heads.end(), [](const RankedHead& a, const RankedHead& b) {
    return std::abs(a.missed_rank - a.error_rank) > std::abs(b.missed_rank - b.error_rank);
  });
  return heads;
}

RecallErrorLine line_of(const Profile& profile, const MeasuredSetting& setting,
                        const SummaryOptions& options) {
  const SiteNumbers missed(profile, [&](const ProfileSite& site) {
    const double recall = profile.at(setting.recall, site.prompt, site.branch, site.step,
                                     site.layer, site.head)[setting.index];
    return 1 - std::min(1.0, recall + text_mass(profile, site));
  });
  const SiteNumbers error = numbers_of(profile, setting.error, setting.index);
  const std::vector<int64_t> prompts = recorded_prompts(profile);
  const auto correlation = [&](const SiteNumbers& left, const SiteNumbers& right) {
    const PlaceRanks ranks(profile, left, right);
    return over_prompts(std::ssize(prompts), options.confidence, kCorrelationBounds,
                        [&](int64_t left_out) { return ranks.correlation(prompts, left_out, -1); });
  };
  const PlaceRanks ranks(profile, missed, error);
  RecallErrorLine line{.method = setting.method,
                       .setting = setting.text,
                       .is_threshold = setting.is_threshold,
                       .places = ranks.places(prompts),
                       .missed = missed.mean({}, options.confidence, kShareBounds),
                       .error = error.mean({}, options.confidence, kPositive),
                       .over_all = correlation(missed, error)};
  line.within_layers =
      over_prompts(std::ssize(prompts), options.confidence, kCorrelationBounds,
                   [&](int64_t left_out) { return ranks.within_layers(prompts, left_out); });
  if (profile.arrays.contains(setting.effect)) {
    const SiteNumbers effect = numbers_of(profile, setting.effect, setting.index);
    line.error_effect = correlation(error, effect);
    line.missed_effect = correlation(missed, effect);
  }
  line.heads = ranked_heads(profile, missed, error);
  return line;
}

}  // namespace

RecallErrors find_recall_errors(const Profile& profile, const SummaryOptions& options) {
  RecallErrors result{.budget = options.budget};
  for (const MeasuredSetting& setting : settings_of(profile, options.budget)) {
    result.lines.push_back(line_of(profile, setting, options));
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !result.lines.empty(),
                    "profile: expected error curves of at least one method, found none");
  return result;
}

}  // namespace sparsescope
