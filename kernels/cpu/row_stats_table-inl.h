// The table of one instruction set; each source that includes this hands it out under its own name.
#pragma once

#include "kernels/cpu/row_stats_rules-inl.h"
#include "kernels/cpu/row_stats_sort-inl.h"
#include "kernels/cpu/row_stats_sums-inl.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

constexpr RowStatsKernels kRowStats{.combine = combine,
                                    .weighted_sums = weighted_sums,
                                    .sort_columns = sort_columns,
                                    .sort_columns_indexed = sort_columns_indexed,
                                    .prefix_sums = prefix_sums,
                                    .gather = gather,
                                    .absolute_difference = absolute_difference,
                                    .products = products,
                                    .min_max = min_max,
                                    .moments = moments,
                                    .lane_threshold_sums = threshold_sums<true>,
                                    .row_threshold_sums = threshold_sums<false>,
                                    .pool_sums = pool_sums};

}  // namespace
}  // namespace sparsescope
