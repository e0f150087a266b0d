#include "sparse/top_k.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "capture/statistic_grids.h"

namespace sparsescope {
namespace {

float rankable(float score) {
  return std::isnan(score) ? -std::numeric_limits<float>::infinity() : score;
}

}  // namespace

void append_top_k(std::span<const float> scores, int64_t k, std::vector<float>& scratch,
                  std::vector<int32_t>& out) {
  const auto n = static_cast<int64_t>(scores.size());
  k = std::min(k, n);
  if (k <= 0) return;
  scratch.resize(scores.size());
  std::transform(scores.begin(), scores.end(), scratch.begin(), rankable);
  // Everything above the k-th value is in; its ties fill the rest in ascending order.
  const auto kth = scratch.begin() + (k - 1);
  std::nth_element(scratch.begin(), kth, scratch.end(), std::greater<>());
  const float cut = *kth;
  int64_t ties = std::count(scratch.begin(), kth + 1, cut);
  // Written without a branch that depends on the scores.
  const size_t begin = out.size();
  out.resize(begin + k + 1);
  int32_t* next = &out[begin];
  for (int64_t j = 0; j < n; ++j) {
    const float score = rankable(scores[j]);
    const bool tie = score == cut && ties > 0;
    ties -= tie;
    *next = static_cast<int32_t>(j);
    next += score > cut || tie;
  }
  out.pop_back();
}

int64_t top_k_from_sparsity(double sparsity, int64_t num_tiles) {
  return tiles_kept(1.0 - sparsity, num_tiles);
}

}  // namespace sparsescope
