// Vector functions on blocks of 64 columns: the arithmetic of the statistics.
//
// A block is [rows][64] fp32, a lane being a query row (or a query tile) and a row a key tile, a
// block of a partition, a coordinate or a channel. Everything runs vertically, so that no function
// needs a horizontal step but the sums over lanes. Pointers need no alignment; nothing is
// validated.
#pragma once

#include <cstdint>

#include "kernels/impl.h"

namespace sparsescope {

// Threshold rule of VMoBA within one query: see RowStatsKernels::pool_sums.
struct PoolSumsParams {
  int64_t rows = 0;                       // the other blocks' count, own block excluded
  const float* gate = nullptr;            // [rows, 64] descending
  const float* mass = nullptr;            // [rows, 64] in the order of gate
  const float* size = nullptr;            // [rows, 64] in the order of gate
  const double* lo = nullptr;             // [64] the normalised gate is (gate - lo) * inverse_width
  const double* inverse_width = nullptr;  // [64]
  const double* needed = nullptr;         // [num_taus, 64] sum of normalised gates to reach
  int64_t num_taus = 0;
  double* cumulative = nullptr;  // [rows, 64] scratch
  double* mass_sum = nullptr;    // [num_taus, 64] result
  double* size_sum = nullptr;    // [num_taus, 64] result
};

struct RowStatsKernels {
  // out[t, :] = sum of mass[c, :] over the cells c with target[c] == t
  void (*combine)(const float* mass, const int32_t* target, int64_t num_cells, int64_t num_targets,
                  float* out);

  // out[r] = sum over lanes of weight[lane] * data[r, lane]
  void (*weighted_sums)(const float* data, int64_t rows, const float* weight, double* out);

  // Every column descending. rows is a power of two, at least 16.
  void (*sort_columns)(float* data, int64_t rows);
  // Every column by key descending, then index ascending.
  void (*sort_columns_indexed)(float* key, int32_t* index, int64_t rows);

  // out[i, :] = sum of data[r, :] over r < counts[i]; counts ascend.
  void (*prefix_sums)(const float* data, const int32_t* counts, int64_t num_counts, float* out);

  // out[r, lane] = data[index[r, lane], lane]
  void (*gather)(const float* data, const int32_t* index, int64_t rows, float* out);

  // out[lane] = sum over rows of |data[r, lane] - mean[r]|, for first_lane <= lane < first_lane +
  // num_lanes; other lanes of out are unspecified.
  void (*absolute_difference)(const float* data, int64_t rows, const float* mean,
                              int64_t first_lane, int64_t num_lanes, float* out);

  // out[r, lane] = sum over d of rows_by_d[r, d] * columns[d, lane]
  void (*products)(const float* rows_by_d, int64_t rows, int64_t depth, const float* columns,
                   float* out);

  // Smallest and largest of each column; rows >= 1.
  void (*min_max)(const float* data, int64_t rows, float* min, float* max);

  // Population mean and central moments 2, 3 and 4 of each column: [64] each.
  void (*moments)(const float* data, int64_t rows, double* mean, double* m2, double* m3,
                  double* m4);

  // value_sum[lane] = sum of value[r, lane], size_sum[lane] = sum of size[r], over the rows with
  // key[r, lane] >= the threshold of the lane or of the row.
  void (*lane_threshold_sums)(const float* key, const float* value, const float* size, int64_t rows,
                              const float* threshold, float* value_sum, float* size_sum);
  void (*row_threshold_sums)(const float* key, const float* value, const float* size, int64_t rows,
                             const float* threshold, float* value_sum, float* size_sum);

  // For each tau and lane: the sums over the first rows until the cumulated normalised gate reaches
  // needed, the row that reaches it included; all rows where none does.
  void (*pool_sums)(const PoolSumsParams& params);
};

const RowStatsKernels& row_stats_kernels(Impl impl);

}  // namespace sparsescope
