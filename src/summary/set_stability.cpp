#include "summary/set_stability.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/error.h"
#include "core/token_grid.h"
#include "stats/chance.h"

namespace sparsescope {
namespace {

// Overlaps of pairs of calls by the prompts that they belong to: the mean over pairs of prompts, of
// which any one can be left out.
class PairMeans {
 public:
  void add(int64_t prompt, int64_t other, double overlap) {
    Sum& sum = sums_[{prompt, other}];
    sum.total += overlap;
    ++sum.count;
    prompts_.insert({prompt, other});
  }

  Measured mean(double confidence) const {
    const std::vector<int64_t> prompts(prompts_.begin(), prompts_.end());
    return over_prompts(std::ssize(prompts), confidence, kShareBounds, [&](int64_t left_out) {
      return mean_without(left_out < 0 ? -1 : prompts[static_cast<size_t>(left_out)]);
    });
  }

  double mean_without(int64_t prompt) const {  // -1: of all
    double sum = 0;
    int64_t count = 0;
    for (const auto& [pair, one] : sums_) {
      if (pair.first == prompt || pair.second == prompt) continue;
      sum += one.total / static_cast<double>(one.count);
      ++count;
    }
    return count > 0 ? sum / static_cast<double>(count) : kNotKnown;
  }

 private:
  struct Sum {
    double total = 0;
    int64_t count = 0;
  };

  std::map<std::pair<int64_t, int64_t>, Sum> sums_;
  std::set<int64_t> prompts_;
};

// The calls that a call is compared with, so that each pair comes once.
using PartnersOf = std::vector<CallKey> (*)(const CallKey&, const Profile&,
                                            const std::vector<int64_t>& steps);

std::vector<CallKey> next_step(const CallKey& call, const Profile&,
                               const std::vector<int64_t>& steps) {
  const auto next = std::upper_bound(steps.begin(), steps.end(), call.step);
  if (next == steps.end()) return {};
  return {{call.prompt, call.branch, *next, call.layer}};
}

std::vector<CallKey> later_prompts(const CallKey& call, const Profile& profile,
                                   const std::vector<int64_t>&) {
  std::vector<CallKey> calls;
  for (int64_t prompt = call.prompt + 1; prompt < profile.prompts; ++prompt) {
    calls.push_back({prompt, call.branch, call.step, call.layer});
  }
  return calls;
}

std::vector<CallKey> other_branch(const CallKey& call, const Profile&,
                                  const std::vector<int64_t>&) {
  if (call.branch != 0) return {};
  return {{call.prompt, 1, call.step, call.layer}};
}

std::vector<double> step_matrix(const HeavySets& sets, const std::vector<int64_t>& steps) {
  std::vector<double> matrix;
  for (const int64_t from : steps) {
    for (const int64_t to : steps) {
      PairMeans means;
      for (const auto& [call, unused] : sets.calls()) {
        if (call.step != from) continue;
        const double overlap = sets.overlap(call, {call.prompt, call.branch, to, call.layer});
        if (!std::isnan(overlap)) means.add(call.prompt, call.prompt, overlap);
      }
      matrix.push_back(means.mean_without(-1));
    }
  }
  return matrix;
}

// At most f once: small grids keep as many tiles at several of them.
std::vector<double> fractions_of(double budget, int64_t num_tiles) {
  std::set<double> fractions = {1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2, budget};
  std::map<int64_t, double> by_kept;
  for (const double fraction : fractions) {
    double& held = by_kept[kept_count(fraction, num_tiles)];
    if (held != budget) held = fraction;
  }
  std::vector<double> result;
  for (const auto& [kept, fraction] : by_kept) result.push_back(fraction);
  return result;
}

}  // namespace

SetStability find_set_stability(const Profile& profile, SetSource source,
                                const SummaryOptions& options) {
  constexpr struct {
    const char* name;
    PartnersOf partners;
  } kComparisons[] = {{"steps", next_step}, {"prompts", later_prompts}, {"branches", other_branch}};
  const int64_t num_tiles = TileGrid(profile.grid, profile.tile).num_tiles();
  SetStability result{.source = source};
  for (const double fraction : fractions_of(options.budget, num_tiles)) {
    const int64_t kept = kept_count(fraction, num_tiles);
    const HeavySets sets(profile, source, kept);
    SPARSESCOPE_CHECK(ErrorKind::kData, !sets.calls().empty(),
                      "profile: expected {} at some site, found none",
                      source == SetSource::kMaps ? "maps" : "key_mass");
    const std::vector<int64_t> steps = sets.steps();
    for (const auto& [name, partners] : kComparisons) {
      SetOverlap line{.between = name,
                      .fraction = fraction,
                      .kept = kept,
                      .chance = expected_jaccard(num_tiles, kept, kept)};
      PairMeans all;
      std::vector<PairMeans> layers(static_cast<size_t>(profile.layers));
      for (const auto& [call, unused] : sets.calls()) {
        for (const CallKey& partner : partners(call, profile, steps)) {
          const double overlap = sets.overlap(call, partner);
          if (std::isnan(overlap)) continue;
          all.add(call.prompt, partner.prompt, overlap);
          layers[static_cast<size_t>(call.layer)].add(call.prompt, partner.prompt, overlap);
          ++line.pairs;
        }
      }
      if (line.pairs == 0) continue;  // one step, one prompt or one branch
      line.jaccard = all.mean(options.confidence);
      line.excess = above_chance(line.jaccard, line.chance);
      for (const PairMeans& layer : layers) {
        line.by_layer.push_back(layer.mean(options.confidence));
      }
      result.overlaps.push_back(std::move(line));
    }
    if (fraction == options.budget) {
      result.steps = steps;
      result.between_steps = step_matrix(sets, steps);
    }
  }
  return result;
}

}  // namespace sparsescope
