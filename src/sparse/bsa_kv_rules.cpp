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

// Also where logits are infinite or no number: equal to the largest is weight 1.
std::vector<float> softmax(std::span<const float> logits) {
  const double top = std::accumulate(logits.begin(), logits.end(), -kInfinity,
                                     [](double a, double b) { return b > a ? b : a; });
  std::vector<double> weights(logits.size());
  double total = 0;
  for (size_t j = 0; j < logits.size(); ++j) {
    const double below = logits[j] == top ? 0.0 : logits[j] - top;
    total += weights[j] = std::isnan(below) ? 0.0 : std::exp(below);
  }
  std::vector<float> probs(logits.size());
  if (total == 0) total = 1;  // a row without a number
  for (size_t j = 0; j < logits.size(); ++j) probs[j] = static_cast<float>(weights[j] / total);
  return probs;
}

// f(0) + ... + f(count - 1) in eight partial sums, so that one need not wait for the other.
template <typename Term>
double sum_terms(size_t count, Term term) {
  constexpr size_t kSums = 8;
  double sums[kSums] = {};
  size_t j = 0;
  for (; j + kSums <= count; j += kSums) {
    for (size_t i = 0; i < kSums; ++i) sums[i] += term(j + i);
  }
  for (; j < count; ++j) sums[0] += term(j);
  return std::accumulate(sums, sums + kSums, 0.0);
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

// Indices of the marked, appended without a branch on the marks.
void append_marked(std::span<const uint8_t> keep, int64_t marked, std::vector<int32_t>& out) {
  const size_t begin = out.size();
  out.resize(begin + marked + 1);
  int32_t* next = &out[begin];
  for (int32_t j = 0; j < std::ssize(keep); ++j) {
    *next = j;
    next += keep[j];
  }
  out.pop_back();
}

}  // namespace

double gaussian_cutoff(std::span<const float> scores, double z) {
  float low = scores[0], high = scores[0];
  for (const float score : scores) {
    low = score < low ? score : low;
    high = score > high ? score : high;
  }
  if (z == -kInfinity || low == high) return -kInfinity;
  const auto count = static_cast<double>(scores.size());
  const double mean =
      sum_terms(scores.size(), [&](size_t j) { return static_cast<double>(scores[j]); }) / count;
  const double squares = sum_terms(scores.size(), [&](size_t j) {
    const double difference = static_cast<double>(scores[j]) - mean;
    return difference * difference;
  });
  return mean + std::sqrt(squares / count) * z;
}

TileLists select_key_tiles(std::span<const float> scores, int64_t num_tiles,
                           const BsaKvOptions& options) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.keep > 0 && options.mass > 0,
                    "bsa: the kept fraction and mass of key tiles must be above 0, found {} and {}",
                    options.keep, options.mass);
  HeadCut cut{.z = gaussian_cut(options.keep)};
  if (options.rule == BsaKvRule::kGaussLogitHead) cut.cutoff = gaussian_cutoff(scores, cut.z);
  // Every rule keeps a run of the ranking's best, so that enough tiles hold the best ones.
  const int64_t at_least = std::clamp<int64_t>(options.min_blocks, 1, num_tiles);
  TileLists lists;
  std::vector<uint8_t> keep(num_tiles);
  for (size_t first = 0; first < scores.size(); first += num_tiles) {
    const std::span<const float> row = scores.subspan(first, num_tiles);
    std::fill(keep.begin(), keep.end(), uint8_t{0});
    mark_by_rule(row, cut, options, keep);
    int64_t marked = std::accumulate(keep.begin(), keep.end(), int64_t{0});
    if (marked < at_least) {
      mark_top_k(row, at_least, keep);
      marked = at_least;
    }
    append_marked(keep, marked, lists.tiles);
    lists.end_row();
  }
  return lists;
}

}  // namespace sparsescope
