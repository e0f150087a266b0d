#include "stats/chance.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {

double expected_jaccard(int64_t total, int64_t first, int64_t second) {
  SPARSESCOPE_ASSERT(first >= 0 && first <= total && second >= 0 && second <= total);
  if (first + second == 0) return 1.0;
  // Weights relative to the one at the mode, by the ratio of neighbours: no factorial, nothing
  // that overflows or cancels.
  const int64_t least = std::max<int64_t>(0, first + second - total);
  const int64_t most = std::min(first, second);
  const int64_t mode = std::clamp(
      static_cast<int64_t>(static_cast<double>(first + 1) * static_cast<double>(second + 1) /
                           static_cast<double>(total + 2)),
      least, most);
  // weight(overlap + 1) / weight(overlap)
  const auto ratio = [&](int64_t overlap) {
    return static_cast<double>(first - overlap) * static_cast<double>(second - overlap) /
           (static_cast<double>(overlap + 1) *
            static_cast<double>(total - first - second + overlap + 1));
  };
  double weights = 0, sum = 0;
  const auto add = [&](int64_t overlap, double weight) {
    weights += weight;
    sum += weight * static_cast<double>(overlap) / static_cast<double>(first + second - overlap);
  };
  add(mode, 1.0);
  double weight = 1.0;
  for (int64_t overlap = mode; overlap < most && weight > 0; ++overlap) {
    weight *= ratio(overlap);
    add(overlap + 1, weight);
  }
  weight = 1.0;
  for (int64_t overlap = mode; overlap > least && weight > 0; --overlap) {
    weight /= ratio(overlap - 1);
    add(overlap - 1, weight);
  }
  return sum / weights;
}

double expected_jaccard_of_shares(double first, double second) {
  SPARSESCOPE_ASSERT(first >= 0 && first <= 1 && second >= 0 && second <= 1);
  const double overlap = first * second;
  const double together = first + second - overlap;
  return together > 0 ? overlap / together : 1.0;
}

}  // namespace sparsescope
