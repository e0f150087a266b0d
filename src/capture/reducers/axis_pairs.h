// Probability between coordinates along one axis: for each pair (a, b) the sum over rows at
// coordinate a of the probability on keys at b. Distances and frames are read from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsescope {

class AxisPairs {
 public:
  explicit AxisPairs(int64_t extent);

  // mass [extent]: sums over rows rows at coordinate own.
  void add(int64_t own, std::span<const double> mass, double rows);
  void merge(const AxisPairs& other);

  // [extent] mean over all rows of the probability on keys at distance d
  std::vector<double> by_distance() const;
  // [extent, extent] mean over the rows at a of the probability on keys at b
  std::vector<double> by_pair() const;

 private:
  int64_t extent_;
  std::vector<double> sums_;  // [extent, extent]
  std::vector<double> rows_;  // [extent]
};

}  // namespace sparsescope
