#include "sparse/bsa_kv_rules.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "capture/gaussian_cut.h"
#include "capture/statistic_grids.h"
#include "core/error.h"
#include "sparse/top_k.h"

namespace sparsescope {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<float> softmax(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> weights(logits.size());
  double total = 0;
  for (size_t j = 0; j < logits.size(); ++j) total += weights[j] = std::exp(logits[j] - top);
  std::vector<float> probs(logits.size());
  for (size_t j = 0; j < logits.size(); ++j) probs[j] = static_cast<float>(weights[j] / total);
  return probs;
}

void mark_at_least(std::span<const float> scores, double cutoff, std::vector<uint8_t>& keep) {
  for (size_t j = 0; j < scores.size(); ++j) keep[j] |= static_cast<double>(scores[j]) >= cutoff;
}

void mark_top_k(std::span<const float> scores, int64_t k, std::vector<uint8_t>& keep) {
  std::vector<float> scratch;
  std::vector<int32_t> best;
  append_top_k(scores, k, scratch, best);
  for (const int32_t j : best) keep[j] = 1;
}

// Tiles by descending probability while the mass before them is below the target.
void mark_mass(std::span<const float> logits, double mass, std::vector<uint8_t>& keep) {
  const std::vector<float> probs = softmax(logits);
  std::vector<int32_t> order(probs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return probs[a] > probs[b]; });
  double before = 0;
  for (const int32_t j : order) {
    if (before >= mass) break;
    keep[j] = 1;
    before += probs[j];
  }
}

// What all rows of a head share.
struct HeadCut {
  double z = 0;       // gaussian_cut(kappa)
  double cutoff = 0;  // of kGaussLogitHead
};

void mark_by_rule(std::span<const float> row, const HeadCut& cut, const BsaKvOptions& options,
                  std::vector<uint8_t>& keep) {
  switch (options.rule) {
    case BsaKvRule::kGaussLogit:
      return mark_at_least(row, gaussian_cutoff(row, cut.z), keep);
    case BsaKvRule::kGaussProb: {
      const std::vector<float> probs = softmax(row);
      return mark_at_least(probs, gaussian_cutoff(probs, cut.z), keep);
    }
    case BsaKvRule::kGaussLogitHead:
      return mark_at_least(row, cut.cutoff, keep);
    case BsaKvRule::kCdf:
      return mark_mass(row, options.mass, keep);
    case BsaKvRule::kTopK:
      return mark_top_k(row, tiles_kept(options.keep, static_cast<int64_t>(row.size())), keep);
  }
}

}  // namespace

double gaussian_cutoff(std::span<const float> scores, double z) {
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  if (z == -kInfinity || *low == *high) return -kInfinity;
  const auto count = static_cast<double>(scores.size());
  const double mean = std::accumulate(scores.begin(), scores.end(), 0.0) / count;
  double squares = 0;
  for (const float score : scores) squares += (score - mean) * (score - mean);
  return mean + std::sqrt(squares / count) * z;
}

TileLists select_key_tiles(std::span<const float> scores, int64_t num_tiles,
                           const BsaKvOptions& options) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.keep > 0 && options.mass > 0,
                    "bsa: the kept fraction and mass of key tiles must be above 0, found {} and {}",
                    options.keep, options.mass);
  HeadCut cut{.z = gaussian_cut(options.keep)};
  if (options.rule == BsaKvRule::kGaussLogitHead) cut.cutoff = gaussian_cutoff(scores, cut.z);
  TileLists lists;
  std::vector<uint8_t> keep(num_tiles);
  for (int64_t b = 0; b < num_tiles; ++b) {
    const std::span<const float> row = scores.subspan(b * num_tiles, num_tiles);
    std::fill(keep.begin(), keep.end(), uint8_t{0});
    mark_by_rule(row, cut, options, keep);
    // Every rule keeps a run of the ranking's best, so that enough tiles hold the best ones.
    const int64_t at_least = std::max<int64_t>(1, options.min_blocks);
    if (std::count(keep.begin(), keep.end(), 1) < at_least) mark_top_k(row, at_least, keep);
    for (int64_t j = 0; j < num_tiles; ++j) {
      if (keep[j]) lists.tiles.push_back(static_cast<int32_t>(j));
    }
    lists.end_row();
  }
  return lists;
}

}  // namespace sparsescope
