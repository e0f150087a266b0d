#include "sparse/bsa_kv_rules.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

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

void mark_by_rule(std::span<const float> row, double head_cutoff, const BsaKvOptions& options,
                  std::vector<uint8_t>& keep) {
  switch (options.rule) {
    case BsaKvRule::kGaussLogit:
      return mark_at_least(row, gaussian_cutoff(row, options.keep), keep);
    case BsaKvRule::kGaussProb: {
      const std::vector<float> probs = softmax(row);
      return mark_at_least(probs, gaussian_cutoff(probs, options.keep), keep);
    }
    case BsaKvRule::kGaussLogitHead:
      return mark_at_least(row, head_cutoff, keep);
    case BsaKvRule::kCdf:
      return mark_mass(row, options.mass, keep);
    case BsaKvRule::kTopK:
      return mark_top_k(row, tiles_kept(options.keep, static_cast<int64_t>(row.size())), keep);
  }
}

}  // namespace

double normal_quantile(double p) {
  if (!(p > 0)) return -kInfinity;
  if (!(p < 1)) return kInfinity;
  // By symmetry only the lower half is solved: there erfc keeps full relative precision. Start from
  // the tail expansion, then Newton steps on ln Phi, which is concave, so that they converge from
  // below monotonically.
  const double tail = std::min(p, 1 - p);
  const double log_tail = std::log(tail);
  double z = -std::sqrt(std::max(0.0, -2 * log_tail - std::log(2 * std::numbers::pi)));
  for (int step = 0; step < 60; ++step) {
    const double phi = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
    const double cumulative = 0.5 * std::erfc(-z / std::numbers::sqrt2);
    const double change = (std::log(cumulative) - log_tail) * cumulative / phi;
    z -= change;
    if (std::abs(change) <= 1e-15 * std::max(1.0, std::abs(z))) break;
  }
  return p < 0.5 ? z : -z;
}

double gaussian_cutoff(std::span<const float> scores, double kappa) {
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  if (kappa >= 1 || *low == *high) return -kInfinity;
  const auto count = static_cast<double>(scores.size());
  const double mean = std::accumulate(scores.begin(), scores.end(), 0.0) / count;
  double squares = 0;
  for (const float score : scores) squares += (score - mean) * (score - mean);
  return mean + std::sqrt(squares / count) * normal_quantile(1 - kappa);
}

TileLists select_key_tiles(std::span<const float> scores, int64_t num_tiles,
                           const BsaKvOptions& options) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.keep > 0 && options.mass > 0,
                    "bsa: the kept fraction and mass of key tiles must be above 0, found {} and {}",
                    options.keep, options.mass);
  const double head_cutoff =
      options.rule == BsaKvRule::kGaussLogitHead ? gaussian_cutoff(scores, options.keep) : 0.0;
  TileLists lists;
  std::vector<uint8_t> keep(num_tiles);
  for (int64_t b = 0; b < num_tiles; ++b) {
    const std::span<const float> row = scores.subspan(b * num_tiles, num_tiles);
    std::fill(keep.begin(), keep.end(), uint8_t{0});
    mark_by_rule(row, head_cutoff, options, keep);
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
