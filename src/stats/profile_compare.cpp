#include "stats/profile_compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "stats/chance.h"
#include "stats/head_table.h"
#include "stats/rank_correlation.h"
#include "stats/resampling.h"
#include "stats/tile_sets.h"
#include "stats/trajectory_id.h"

namespace sparsescope {
namespace {

// Masses are sums of fp32 probabilities: heads that differ by less do so by rounding alone.
constexpr double kRounding = 1e-5;  // of the largest value

constexpr double kHeavyFraction = 0.25;  // of the key tiles that count as heavy

bool constant(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return *most - *least <= kRounding * std::max(std::abs(*least), std::abs(*most));
}

// Steps without a noise level (captures) are told apart by their number. Different experts are
// different models, however near their noise.
double gap(const Profile& a, int64_t step_a, const Profile& b, int64_t step_b) {
  const bool two_experts = !a.expert.empty() && !b.expert.empty();
  if (two_experts && a.expert_of(step_a) != b.expert_of(step_b)) {
    return std::numeric_limits<double>::infinity();
  }
  const double between =
      std::abs(a.sigma[static_cast<size_t>(step_a)] - b.sigma[static_cast<size_t>(step_b)]);
  if (!std::isnan(between)) return between;
  return step_a == step_b ? 0 : std::numeric_limits<double>::infinity();
}

// Each recorded step of the profile with fewer of them, beside the other's nearest one.
std::vector<StepPair> pair_steps(const Profile& a, const Profile& b) {
  const std::vector<int64_t> of_a = recorded_steps(a), of_b = recorded_steps(b);
  if (of_b.size() < of_a.size()) {
    std::vector<StepPair> pairs = pair_steps(b, a);
    for (StepPair& pair : pairs) std::swap(pair.a, pair.b);
    return pairs;
  }
  std::vector<StepPair> pairs;
  for (const int64_t step : of_a) {
    const auto nearest = std::min_element(of_b.begin(), of_b.end(), [&](int64_t x, int64_t y) {
      return gap(a, step, b, x) < gap(a, step, b, y);
    });
    if (std::isfinite(gap(a, step, b, *nearest))) pairs.push_back({step, *nearest});
  }
  return pairs;
}

// The prompts of both in one order, where they are the same ones; else as they stand.
bool pair_prompts(const Profile& a, const Profile& b, std::vector<int64_t>& of_a,
                  std::vector<int64_t>& of_b) {
  const auto by_embedding = [](const Profile& profile, const std::vector<int64_t>& prompts) {
    const std::vector<Trajectory> trajectories = read_trajectories(profile, "profile");
    std::vector<std::pair<std::string, int64_t>> sorted;
    for (const int64_t p : prompts) {
      sorted.emplace_back(trajectories[static_cast<size_t>(p)].id.prompt, p);
    }
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  };
  const auto in_a = by_embedding(a, of_a), in_b = by_embedding(b, of_b);
  const bool same = std::equal(
      in_a.begin(), in_a.end(), in_b.begin(), in_b.end(),
      [](const auto& x, const auto& y) { return !x.first.empty() && x.first == y.first; });
  if (!same) return false;
  const auto second = [](const auto& pair) { return pair.second; };
  std::transform(in_a.begin(), in_a.end(), of_a.begin(), second);
  std::transform(in_b.begin(), in_b.end(), of_b.begin(), second);
  return true;
}

class Comparer {
 public:
  Comparer(const Profile& a, const Profile& b, double confidence) : a_(a), b_(b) {
    SPARSESCOPE_CHECK(ErrorKind::kData, a.layers == b.layers && a.heads == b.heads,
                      "profiles compare head by head: expected {} layers of {} heads as in A, "
                      "found {} of {} in B",
                      a.layers, a.heads, b.layers, b.heads);
    result_.confidence = confidence;
    prompts_a_ = recorded_prompts(a);
    prompts_b_ = recorded_prompts(b);
    SPARSESCOPE_CHECK(ErrorKind::kData, !prompts_a_.empty() && !prompts_b_.empty(),
                      "profiles: expected recorded sites in both, found none");
    result_.prompts_a = std::ssize(prompts_a_);
    result_.prompts_b = std::ssize(prompts_b_);
    result_.paired = pair_prompts(a, b, prompts_a_, prompts_b_);
    result_.steps = pair_steps(a, b);
    for (const StepPair& pair : result_.steps) {
      result_.largest_sigma_gap = std::max(result_.largest_sigma_gap, gap(a, pair.a, b, pair.b));
      add_places(pair);
    }
  }

  Comparison run() {
    for (const auto& [name, array] : a_.arrays) {
      const std::string reason =
          b_.arrays.contains(name) ? obstacle(a_, b_, name) : "B does not hold it";
      if (!reason.empty()) {
        result_.not_compared.push_back({name, reason});
        continue;
      }
      const std::vector<Measure> in_a = measures_of(a_, name), in_b = measures_of(b_, name);
      for (size_t i = 0; i < in_a.size(); ++i) add(name, in_a[i], in_b[i]);
      if (name == "key_mass" && !in_a.empty()) add_heavy_tiles(name, in_a.front());
    }
    for (const auto& [name, array] : b_.arrays) {
      if (!a_.arrays.contains(name)) result_.not_compared.push_back({name, "A does not hold it"});
    }
    return std::move(result_);
  }

 private:
  void add_places(const StepPair& pair) {
    for (int64_t branch = 0; branch < std::min(a_.branches, b_.branches); ++branch) {
      for (int64_t layer = 0; layer < a_.layers; ++layer) {
        for (int64_t head = 0; head < a_.heads; ++head) {
          places_a_.push_back({branch, pair.a, layer, head});
          places_b_.push_back({branch, pair.b, layer, head});
        }
      }
    }
  }

  struct Agreement {
    int64_t heads = 0;
    double mean_a = 0, mean_b = 0, difference = 0;
    std::optional<double> rank;
  };

  static Agreement agreement(const HeadTable::Means& a, const HeadTable::Means& b,
                             const Measure& measure) {
    Agreement result;
    std::vector<double> ranked_a, ranked_b;
    const auto points = static_cast<size_t>(measure.points);
    for (size_t place = 0; place < a.known.size(); ++place) {
      if (a.known[place] == 0 || b.known[place] == 0) continue;
      ranked_a.push_back(a.ranked[place]);
      ranked_b.push_back(b.ranked[place]);
      for (size_t i = place * points; i < (place + 1) * points; ++i) {
        result.difference += measure.weight * std::abs(a.points[i] - b.points[i]);
      }
    }
    result.heads = std::ssize(ranked_a);
    if (result.heads == 0) return result;
    result.difference /= static_cast<double>(result.heads);
    result.mean_a = mean_of(ranked_a);
    result.mean_b = mean_of(ranked_b);
    if (!constant(ranked_a) && !constant(ranked_b)) {
      result.rank = rank_correlation(ranked_a, ranked_b);
    }
    return result;
  }

  // One list for each set of prompts that varies alone: of both profiles at once, or of each.
  // agree: of the means of A and B.
  template <typename Agree>
  auto leave_out_prompts(const HeadTable& a, const HeadTable& b, const Agree& agree) const {
    const HeadTable::Means all_a = a.means_without(-1), all_b = b.means_without(-1);
    std::vector<std::vector<decltype(agree(all_a, all_b))>> result(result_.paired ? 1 : 2);
    for (int64_t p = 0; p < result_.prompts_a; ++p) {
      const HeadTable::Means beside = result_.paired ? b.means_without(p) : all_b;
      result[0].push_back(agree(a.means_without(p), beside));
    }
    for (int64_t p = 0; p < result_.prompts_b && !result_.paired; ++p) {
      result[1].push_back(agree(all_a, b.means_without(p)));
    }
    return result;
  }

  // Clipped to the values that can be. The variances of sets that vary alone add.
  template <typename One, typename ValueOf>
  std::optional<Interval> interval(double value, const std::vector<std::vector<One>>& left_out,
                                   const ValueOf& value_of, const Interval& range) const {
    double variance = 0;
    size_t fewest = std::numeric_limits<size_t>::max();
    for (const std::vector<One>& set : left_out) {
      std::vector<double> values;
      for (const One& one : set) {
        const std::optional<double> without = value_of(one);
        if (without) values.push_back(*without);
      }
      if (set.size() < 2 || values.size() < set.size()) return std::nullopt;
      variance += jackknife_variance(values);
      fewest = std::min(fewest, set.size());
    }
    const double half = std::sqrt(variance) * student_t_quantile(0.5 * (1 + result_.confidence),
                                                                 static_cast<int>(fewest) - 1);
    return Interval{std::max(range.low, value - half), std::min(range.high, value + half)};
  }

  void add(const std::string& statistic, const Measure& in_a, const Measure& in_b) {
    const HeadTable a(a_, statistic, in_a, places_a_, prompts_a_);
    const HeadTable b(b_, statistic, in_b, places_b_, prompts_b_);
    const Agreement found = agreement(a.means_without(-1), b.means_without(-1), in_a);
    if (found.heads == 0) {
      result_.not_compared.push_back({in_a.name, "no head has values in both"});
      return;
    }
    const auto left_out =
        leave_out_prompts(a, b, [&](const HeadTable::Means& of_a, const HeadTable::Means& of_b) {
          return agreement(of_a, of_b, in_a);
        });
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    StatisticAgreement line{.name = in_a.name,
                            .what = in_a.what,
                            .heads = found.heads,
                            .mean_a = found.mean_a,
                            .mean_b = found.mean_b,
                            .difference = found.difference,
                            .spread = a.spread_between_prompts(),
                            .rank = found.rank};
    line.difference_interval = interval(
        found.difference, left_out,
        [](const Agreement& one) { return std::optional(one.difference); }, {0, kInfinity});
    if (found.rank) {
      line.rank_interval =
          interval(*found.rank, left_out, [](const Agreement& one) { return one.rank; }, {-1, 1});
    }
    result_.statistics.push_back(line);
  }

  // By the means of the masses over prompts; key_mass that is comparable has the tiles as points.
  void add_heavy_tiles(const std::string& statistic, const Measure& measure) {
    const HeadTable a(a_, statistic, measure, places_a_, prompts_a_);
    const HeadTable b(b_, statistic, measure, places_b_, prompts_b_);
    TileSetAgreement line{.fraction = kHeavyFraction,
                          .kept = kept_count(kHeavyFraction, measure.points)};
    line.chance = expected_jaccard(measure.points, line.kept, line.kept);
    const auto overlap = [&](std::span<const float> left, std::span<const float> right) {
      return jaccard(heaviest_tiles(left, line.kept), heaviest_tiles(right, line.kept));
    };
    const auto mean_overlap = [&](const HeadTable::Means& of_a,
                                  const HeadTable::Means& of_b) -> std::optional<double> {
      const auto points = static_cast<size_t>(measure.points);
      std::vector<double> overlaps;
      for (size_t place = 0; place < of_a.known.size(); ++place) {
        if (of_a.known[place] == 0 || of_b.known[place] == 0) continue;
        const auto masses = [&](const HeadTable::Means& means) {
          const auto first = means.points.begin() + static_cast<std::ptrdiff_t>(place * points);
          return std::vector<float>(first, first + measure.points);
        };
        overlaps.push_back(overlap(masses(of_a), masses(of_b)));
      }
      return overlaps.empty() ? std::nullopt : std::optional(mean_of(overlaps));
    };
    const std::optional<double> found = mean_overlap(a.means_without(-1), b.means_without(-1));
    if (!found) return;
    line.jaccard = *found;
    line.yardstick = a.mean_of_pairs(overlap);
    line.interval = interval(*found, leave_out_prompts(a, b, mean_overlap),
                             [](const std::optional<double>& one) { return one; }, {0, 1});
    result_.heavy_tiles = line;
  }

  const Profile& a_;
  const Profile& b_;
  std::vector<int64_t> prompts_a_, prompts_b_;
  std::vector<HeadPlace> places_a_, places_b_;
  Comparison result_;
};

}  // namespace

Comparison compare_profiles(const Profile& a, const Profile& b, double confidence) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, confidence > 0 && confidence < 1,
                    "--confidence: expected a number between 0 and 1, found {}", confidence);
  return Comparer(a, b, confidence).run();
}

std::string conclusion(const Comparison& comparison) {
  if (comparison.statistics.empty()) return "A and B share nothing that can be compared";
  int64_t yardsticks = 0, within = 0;
  std::vector<std::pair<double, std::string>> ranks;
  for (const StatisticAgreement& line : comparison.statistics) {
    if (line.spread && (*line.spread > 0 || line.difference > 0)) {  // else fixed by the settings
      ++yardsticks;
      within += line.difference <= *line.spread ? 1 : 0;
    }
    if (line.rank) ranks.emplace_back(*line.rank, line.name);
  }
  std::string text = yardsticks > 0
                         ? fmt::format(
                               "A and B lie no further apart than two prompts of A on {} of {} "
                               "statistics",
                               within, yardsticks)
                         : "A holds one prompt, so that there is no spread to hold against";
  if (!ranks.empty()) {
    std::sort(ranks.begin(), ranks.end());
    text += fmt::format(
        "; their heads keep their order with a median rank correlation of {:.2f}, "
        "least in {} ({:.2f})",
        ranks[ranks.size() / 2].first, ranks.front().second, ranks.front().first);
  }
  return text;
}

}  // namespace sparsescope
