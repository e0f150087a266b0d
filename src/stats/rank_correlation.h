// Spearman's rank correlation: how far two lists agree on the order.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace sparsescope {

// Ranks from 0; equal values share the mean of their places.
std::vector<double> ranks_of(std::span<const double> values);

// Pearson's correlation of the ranks, in [-1, 1]. Nothing where a list is constant or shorter than
// two: then it holds no order.
std::optional<double> rank_correlation(std::span<const double> left, std::span<const double> right);

}  // namespace sparsescope
