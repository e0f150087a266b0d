// Data and the fixture of the row statistics' tests: the reference against values worked out by
// hand, every instruction set against the reference on peaked and tied data.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/rng.h"
#include "core/row_groups.h"
#include "kernels/attention_case.h"
#include "kernels/row_stats.h"

namespace sparsescope::testing {

inline constexpr int64_t kL = kRowLanes;
inline constexpr float kInf = std::numeric_limits<float>::infinity();

// Positive and peaked: most values are small, a few are near 1.
inline std::vector<float> peaked(int64_t rows, uint64_t key) {
  std::vector<float> values(rows * kL);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::pow(uniform(key, i), 8.0));
  }
  return values;
}

inline std::vector<float> normals(int64_t count, uint64_t key) {
  std::vector<float> values(count);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(normal(key, i));
  return values;
}

// Few distinct values, so that every column holds ties.
inline std::vector<float> tied(int64_t rows, uint64_t key) {
  std::vector<float> values(rows * kL);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::floor(uniform(key, i) * 5.0)) - 2.0f;
  }
  return values;
}

template <typename T>
void expect_near(const std::vector<T>& found, const std::vector<T>& expected, double relative,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    const double slack = relative * std::max(1.0, std::abs(static_cast<double>(expected[i])));
    ASSERT_NEAR(found[i], expected[i], slack) << what << " at " << i;
  }
}

// A block whose lane 0 holds the given column and whose other lanes hold zero.
inline std::vector<float> lane_zero(const std::vector<float>& column) {
  std::vector<float> block(column.size() * kL);
  for (size_t r = 0; r < column.size(); ++r) block[r * kL] = column[r];
  return block;
}

class RowStats : public ::testing::TestWithParam<Impl> {
 protected:
  const RowStatsKernels& kernels() const { return row_stats_kernels(GetParam()); }
  const RowStatsKernels& reference() const { return row_stats_kernels(Impl::kReference); }
};

inline std::string row_stats_test_name(const ::testing::TestParamInfo<Impl>& info) {
  return impl_test_name(info.param);
}

}  // namespace sparsescope::testing
