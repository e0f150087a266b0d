#include "sparse/top_k.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "capture/statistic_grids.h"

namespace sparsescope {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

float rankable(float score) { return std::isnan(score) ? kLowest : score; }

// Floats in their order as integers, and back. -0 comes just before 0; both compare equal.
int64_t ordinal_of(float value) {
  const auto bits = std::bit_cast<int32_t>(value);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
float float_of(int64_t ordinal) {
  const auto bits = static_cast<int32_t>(ordinal);
  return std::bit_cast<float>(bits ^ ((bits >> 31) & 0x7fffffff));
}

int64_t count_at_least(std::span<const float> scores, float cut) {
  int32_t count = 0;
  for (const float score : scores) count += score >= cut;
  return count;
}

// The value half way between two floats, the upper one where they are neighbours. Half of the
// values first: scores lie close together in them. Half of the floats where that does not end.
int64_t middle_of(int64_t reached, int64_t limit, int step) {
  constexpr int kStepsByValue = 16;
  const float half = 0.5f * float_of(reached) + 0.5f * float_of(limit);
  if (step >= kStepsByValue || !std::isfinite(half)) return limit - (limit - reached) / 2;
  return std::clamp(ordinal_of(half), reached + 1, limit);
}

// The largest value that at least k scores reach. Halving what lies between the extremes, not
// sorting: every step is one pass of vector compares, and few are needed to tell k scores apart.
float kth_largest(std::span<const float> scores, int64_t k) {
  float low = scores[0], high = scores[0];
  for (const float score : scores) {
    low = score < low ? score : low;
    high = score > high ? score : high;
  }
  int64_t reached = ordinal_of(low), limit = ordinal_of(high);
  for (int step = 0; reached < limit; ++step) {
    const int64_t middle = middle_of(reached, limit, step);
    const int64_t count = count_at_least(scores, float_of(middle));
    if (count >= k) {
      reached = middle;
      if (count == k) break;  // what lies between here and the k-th changes nothing
    } else {
      limit = middle - 1;
    }
  }
  return float_of(reached);
}

}  // namespace

void append_top_k(std::span<const float> scores, int64_t k, std::vector<float>& scratch,
                  std::vector<int32_t>& out) {
  const auto n = static_cast<int64_t>(scores.size());
  k = std::min(k, n);
  if (k <= 0) return;
  scratch.resize(scores.size());
  std::transform(scores.begin(), scores.end(), scratch.begin(), rankable);
  const float cut = kth_largest(scratch, k);
  // Everything above the cut is in; its ties fill the rest in ascending order.
  int64_t ties = k;
  for (const float score : scratch) ties -= score > cut;
  // Written without a branch that depends on the scores.
  const size_t begin = out.size();
  out.resize(begin + k + 1);
  int32_t* next = &out[begin];
  for (int64_t j = 0; j < n; ++j) {
    const float score = scratch[j];
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
