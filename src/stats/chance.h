// What chance alone gives: the floor beside every overlap.
#pragma once

#include <cstdint>

namespace sparsescope {

// Expected Jaccard index |A and B| / |A or B| of two sets of first and second members, each drawn
// evenly from `total` without repetition and independently: the sum over the hypergeometric
// distribution of the overlap. Two empty sets agree: 1.
double expected_jaccard(int64_t total, int64_t first, int64_t second);

// Its limit for many members, where the overlap is first * second of the total: shares in [0, 1]
// of the total. Equal shares f: f / (2 - f).
double expected_jaccard_of_shares(double first, double second);

}  // namespace sparsescope
