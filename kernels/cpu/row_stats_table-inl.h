// The table of one instruction set; each source that includes this hands it out under its own name.
#pragma once

#include "kernels/cpu/row_stats_gates-inl.h"
#include "kernels/cpu/row_stats_keep-inl.h"
#include "kernels/cpu/row_stats_ranks-inl.h"
#include "kernels/cpu/row_stats_rules-inl.h"
#include "kernels/cpu/row_stats_sort-inl.h"
#include "kernels/cpu/row_stats_sums-inl.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

constexpr RowStatsKernels kRowStats{.combine = combine,
                                    .fold_gates = fold_gates,
                                    .weighted_sums = weighted_sums,
                                    .sort_columns = sort_columns,
                                    .rank_columns = rank_columns,
                                    .prefix_sums = prefix_sums,
                                    .extract_lanes = extract_lanes,
                                    .gather = gather,
                                    .absolute_difference = absolute_difference,
                                    .widen_bf16 = widen_bf16,
                                    .add_rows = add_rows,
                                    .transpose = transpose,
                                    .products = products,
                                    .moments = moments,
                                    .lane_threshold_sums = lane_threshold_sums,
                                    .finite_range = finite_range,
                                    .gate_histogram = gate_histogram,
                                    .unpack_bins = unpack_bins,
                                    .select_bins = select_bins,
                                    .pool_codes = pool_codes,
                                    .rank_entries = rank_entries,
                                    .pack_masses = pack_masses,
                                    .code_sums = code_sums,
                                    .weight_sums = weight_sums,
                                    .reach_counts = reach_counts,
                                    .compare_bits = compare_bits,
                                    .digit_sums = digit_sums};

}  // namespace
}  // namespace sparsescope
