// The rules for one row of scores, on rows of every width and with every oddity, against the
// host's.
#include "kernels/cuda/select_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "capture/gaussian_cut.h"
#include "core/rng.h"
#include "cuda/device_fixture.h"
#include "cuda/select_case.h"
#include "sparse/bsa_kv_rules.h"
#include "sparse/top_k.h"

namespace sparsescope::testing {
namespace {

using SelectRows = CudaTest;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Widths at the borders of the kernel's variants, and the largest.
const std::vector<int32_t> kWidths{1, 31, 32, 33, 128, 129, 512, 513, 1536, 1537, 2560};

using Row = std::vector<float>;

std::vector<Row> odd_rows(int32_t width) {
  std::vector<Row> rows(7, Row(width));
  for (int32_t j = 0; j < width; ++j) {
    const double value = normal(3, j);
    rows[0][j] = static_cast<float>(value);
    rows[1][j] = static_cast<float>(std::round(value));
    rows[2][j] = 1.5f;
    rows[3][j] = j % 3 == 0 ? std::copysign(0.0f, static_cast<float>(value)) : -1.0f;
    rows[4][j] = static_cast<float>(std::exp(8 * value));
    rows[5][j] = j % 5 == 0 ? -kInfinity : static_cast<float>(value);
    rows[6][j] = j % 7 == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(value);
  }
  return rows;
}

// The columns that select(rows, device) marks in each row.
template <typename Select>
std::vector<std::vector<int32_t>> selected(const std::vector<Row>& rows, const Select& select) {
  const auto width = static_cast<int32_t>(rows[0].size());
  const int64_t stride = cuda::score_stride(width), words = cuda::mask_words(width);
  Row padded(rows.size() * stride, kInfinity);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(), padded.begin() + static_cast<int64_t>(i) * stride);
  }
  const cuda::DeviceArray<float> scores(padded);
  cuda::DeviceArray<uint32_t> mask(std::ssize(rows) * words);
  select(cuda::ScoreRows{.scores = scores.data(),
                         .num_planes = 1,
                         .num_rows = static_cast<int32_t>(rows.size()),
                         .num_tiles = width,
                         .mask = mask.data(),
                         .mask_stride = std::ssize(rows)});
  const std::vector<uint32_t> bits = mask.to_host();
  std::vector<std::vector<int32_t>> columns(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int32_t j = 0; j < 32 * words; ++j) {
      if ((bits[i * words + j / 32] >> j % 32 & 1) != 0) columns[i].push_back(j);
    }
  }
  return columns;
}

TEST_F(SelectRows, TopK) {
  for (const int32_t width : kWidths) {
    const std::vector<Row> rows = odd_rows(width);
    for (const int32_t k : {1, 2, width / 3, width - 1, width}) {
      if (k < 1 || k > width) continue;
      const cuda::DeviceArray<int32_t> top_k(std::vector<int32_t>{k});
      const auto found = selected(
          rows, [&](const cuda::ScoreRows& call) { cuda::select_top_k(call, top_k.data()); });
      for (size_t i = 0; i < rows.size(); ++i) {
        std::vector<int32_t> expected;
        Row scratch;
        append_top_k(rows[i], k, scratch, expected);
        EXPECT_EQ(found[i], expected) << width << " columns, row " << i << ", k " << k;
      }
    }
  }
}

TEST_F(SelectRows, GaussianCutOff) {
  for (const int32_t width : kWidths) {
    std::vector<Row> rows = odd_rows(width);
    rows.resize(5);  // infinities and NaN have no mean
    for (const double keep : {0.05, 0.3, 0.5, 1.0}) {
      for (const int32_t least : {1, 4}) {
        const cuda::DeviceArray<cuda::GaussianRule> rule(
            std::vector<cuda::GaussianRule>{{gaussian_cut(keep), std::min(least, width)}});
        const auto found = selected(
            rows, [&](const cuda::ScoreRows& call) { cuda::select_gaussian(call, rule.data()); });
        for (size_t i = 0; i < rows.size(); ++i) {
          const TileLists expected =
              select_key_tiles(rows[i], width, {.keep = keep, .min_blocks = least});
          EXPECT_EQ(found[i], expected.tiles)
              << width << " columns, row " << i << ", kept " << keep << ", least " << least;
        }
      }
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
