// Naive loops in fp64, a lane at a time: the definition of correct.
#include "kernels/row_stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/row_groups.h"
#include "kernels/cpu/row_stats_tables.h"

namespace sparsescope::reference {
namespace {

size_t at(int64_t row, int64_t lane) { return static_cast<size_t>(row * kRowLanes + lane); }

void combine(const float* mass, const int32_t* target, int64_t num_cells, int64_t num_targets,
             float* out) {
  std::vector<double> sums(static_cast<size_t>(num_targets) * kRowLanes);
  for (int64_t cell = 0; cell < num_cells; ++cell) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      sums[at(target[cell], lane)] += mass[at(cell, lane)];
    }
  }
  std::copy(sums.begin(), sums.end(), out);
}

void weighted_sums(const float* data, int64_t rows, const float* weight, double* out) {
  for (int64_t r = 0; r < rows; ++r) {
    out[r] = 0.0;
    for (int lane = 0; lane < kRowLanes; ++lane) {
      out[r] += static_cast<double>(weight[lane]) * data[at(r, lane)];
    }
  }
}

void sort_columns(float* data, int64_t rows) {
  std::vector<float> column(rows);
  for (int lane = 0; lane < kRowLanes; ++lane) {
    for (int64_t r = 0; r < rows; ++r) column[r] = data[at(r, lane)];
    std::sort(column.begin(), column.end(), std::greater<float>());
    for (int64_t r = 0; r < rows; ++r) data[at(r, lane)] = column[r];
  }
}

void sort_columns_indexed(float* key, int32_t* index, int64_t rows) {
  std::vector<std::pair<float, int32_t>> column(rows);
  for (int lane = 0; lane < kRowLanes; ++lane) {
    for (int64_t r = 0; r < rows; ++r) column[r] = {key[at(r, lane)], index[at(r, lane)]};
    std::sort(column.begin(), column.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    for (int64_t r = 0; r < rows; ++r) {
      key[at(r, lane)] = column[r].first;
      index[at(r, lane)] = column[r].second;
    }
  }
}

void prefix_sums(const float* data, const int32_t* counts, int64_t num_counts, float* out) {
  for (int64_t i = 0; i < num_counts; ++i) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      double sum = 0.0;
      for (int64_t r = 0; r < counts[i]; ++r) sum += data[at(r, lane)];
      out[at(i, lane)] = static_cast<float>(sum);
    }
  }
}

void gather(const float* data, const int32_t* index, int64_t rows, float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      out[at(r, lane)] = data[at(index[at(r, lane)], lane)];
    }
  }
}

void absolute_difference(const float* data, int64_t rows, const float* mean, int64_t first_lane,
                         int64_t num_lanes, float* out) {
  for (int64_t lane = first_lane; lane < first_lane + num_lanes; ++lane) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      sum += std::abs(static_cast<double>(data[at(r, lane)]) - mean[r]);
    }
    out[lane] = static_cast<float>(sum);
  }
}

void products(const float* rows_by_d, int64_t rows, int64_t depth, const float* columns,
              float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      double sum = 0.0;
      for (int64_t d = 0; d < depth; ++d) {
        sum += static_cast<double>(rows_by_d[r * depth + d]) * columns[at(d, lane)];
      }
      out[at(r, lane)] = static_cast<float>(sum);
    }
  }
}

void min_max(const float* data, int64_t rows, float* min, float* max) {
  for (int lane = 0; lane < kRowLanes; ++lane) {
    min[lane] = max[lane] = data[lane];
    for (int64_t r = 1; r < rows; ++r) {
      min[lane] = std::min(min[lane], data[at(r, lane)]);
      max[lane] = std::max(max[lane], data[at(r, lane)]);
    }
  }
}

void moments(const float* data, int64_t rows, double* mean, double* m2, double* m3, double* m4) {
  const auto count = static_cast<double>(rows);
  for (int lane = 0; lane < kRowLanes; ++lane) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; ++r) sum += data[at(r, lane)];
    mean[lane] = sum / count;
    m2[lane] = m3[lane] = m4[lane] = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      const double x = data[at(r, lane)] - mean[lane];
      m2[lane] += x * x / count;
      m3[lane] += x * x * x / count;
      m4[lane] += x * x * x * x / count;
    }
  }
}

// threshold_of(row, lane)
template <typename ThresholdOf>
void threshold_sums(const float* key, const float* value, const float* size, int64_t rows,
                    const ThresholdOf& threshold_of, float* value_sum, float* size_sum) {
  for (int lane = 0; lane < kRowLanes; ++lane) {
    double values = 0.0, sizes = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      if (key[at(r, lane)] < threshold_of(r, lane)) continue;
      values += value[at(r, lane)];
      sizes += size[r];
    }
    value_sum[lane] = static_cast<float>(values);
    size_sum[lane] = static_cast<float>(sizes);
  }
}

void lane_threshold_sums(const float* key, const float* value, const float* size, int64_t rows,
                         const float* threshold, float* value_sum, float* size_sum) {
  threshold_sums(
      key, value, size, rows, [&](int64_t, int lane) { return threshold[lane]; }, value_sum,
      size_sum);
}

void row_threshold_sums(const float* key, const float* value, const float* size, int64_t rows,
                        const float* threshold, float* value_sum, float* size_sum) {
  threshold_sums(
      key, value, size, rows, [&](int64_t r, int) { return threshold[r]; }, value_sum, size_sum);
}

void pool_sums(const PoolSumsParams& p) {
  for (int64_t tau = 0; tau < p.num_taus; ++tau) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      double reached = 0.0, mass = 0.0, size = 0.0;
      for (int64_t r = 0; r < p.rows; ++r) {
        mass += p.mass[at(r, lane)];
        size += p.size[at(r, lane)];
        reached += (p.gate[at(r, lane)] - p.lo[lane]) * p.inverse_width[lane];
        if (reached >= p.needed[at(tau, lane)]) break;
      }
      p.mass_sum[at(tau, lane)] = mass;
      p.size_sum[at(tau, lane)] = size;
    }
  }
}

}  // namespace

const RowStatsKernels& row_stats() {
  static constexpr RowStatsKernels kTable{.combine = combine,
                                          .weighted_sums = weighted_sums,
                                          .sort_columns = sort_columns,
                                          .sort_columns_indexed = sort_columns_indexed,
                                          .prefix_sums = prefix_sums,
                                          .gather = gather,
                                          .absolute_difference = absolute_difference,
                                          .products = products,
                                          .min_max = min_max,
                                          .moments = moments,
                                          .lane_threshold_sums = lane_threshold_sums,
                                          .row_threshold_sums = row_threshold_sums,
                                          .pool_sums = pool_sums};
  return kTable;
}

}  // namespace sparsescope::reference
