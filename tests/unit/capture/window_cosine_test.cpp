// Windows of queries: which there are, and the mean cosine in them by hand, at other element types
// and beside the histogram of the whole tile.
#include "capture/window_cosine.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "capture/query_windows.h"
#include "core/dtype.h"
#include "unit/capture/naive_statistics.h"
#include "unit/capture/recorded_call.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> windows_of(const TokenGrid& grid, const TileShape& tile) {
  std::vector<std::string> texts;
  for (const TileShape& window : query_windows(TileGrid(grid, tile))) {
    texts.push_back(to_string(window));
  }
  return texts;
}

TEST(QueryWindows, DoubleUpToTheTile) {
  EXPECT_THAT(windows_of({8, 16, 16}, {4, 4, 4}),
              ElementsAre("2,1,1", "1,2,1", "1,1,2", "1,2,2", "2,2,2", "4,1,1", "1,4,1", "1,1,4",
                          "1,4,4", "4,4,4"));
  EXPECT_THAT(windows_of({8, 16, 16}, {1, 2, 3}),
              ElementsAre("1,2,1", "1,1,2", "1,2,2", "1,1,3", "1,2,3"));
}

TEST(QueryWindows, EndAtTheGrid) {
  EXPECT_THAT(windows_of({1, 16, 16}, {4, 2, 1}), ElementsAre("1,2,1"));
  EXPECT_THAT(windows_of({2, 1, 1}, {4, 4, 4}), ElementsAre("2,1,1"));
  EXPECT_THAT(windows_of({8, 16, 16}, {1, 1, 1}), IsEmpty());
}

// One head of one call.
std::vector<double> cosines_of(const void* q, Dtype dtype, const TokenGrid& grid,
                               const TileShape& tile, int64_t head_dim) {
  ThreadPool pool(1);
  const CallLayout layout = make_call_layout({grid, 0, 0}, tile, {}, 0, 0);
  const auto found =
      window_cosine(contiguous_attention_tensor(q, dtype, 1, 1, grid.tokens(), head_dim), layout,
                    row_stats_kernels(default_cpu_impl()), pool);
  EXPECT_TRUE(found.has_value());
  return found ? found->values : std::vector<double>{};
}

// Queries on a line: windows of 2 hold (0, 1) and (2, 3), those of 4 all of them around token 2.
// Token 4 is a clipped tile of its own and has no window.
TEST(WindowCosine, ByHand) {
  const float q[] = {1, 0, 0, 2, 3, 3, 0, 0, 5, 5};
  const std::vector<double> found = cosines_of(q, Dtype::kF32, {1, 1, 5}, {1, 1, 4}, 2);
  const double half = std::sqrt(0.5);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NEAR(found[0], 0.0, 1e-7);                // (1,0) to (0,2), (3,3) to a zero query
  EXPECT_NEAR(found[1], (half + half) / 3, 1e-7);  // to (3,3)
}

TEST(WindowCosine, ReadsHalfPrecision) {
  const auto call = naive::make_call({3, 5, 6}, {2, 4, 4}, 0, 0, 1, 20, 7);
  std::vector<float> rounded(call.q.size());
  std::vector<uint16_t> bits(call.q.size());
  for (size_t i = 0; i < bits.size(); ++i) {
    bits[i] = float_to_bf16(call.q[i]);
    rounded[i] = bf16_to_float(bits[i]);
  }
  EXPECT_EQ(cosines_of(bits.data(), Dtype::kBF16, call.grid, call.tile, 20),
            cosines_of(rounded.data(), Dtype::kF32, call.grid, call.tile, 20));
  for (size_t i = 0; i < bits.size(); ++i) {
    bits[i] = float_to_f16(call.q[i]);
    rounded[i] = f16_to_float(bits[i]);
  }
  EXPECT_EQ(cosines_of(bits.data(), Dtype::kF16, call.grid, call.tile, 20),
            cosines_of(rounded.data(), Dtype::kF32, call.grid, call.tile, 20));
}

TEST(WindowCosine, OfTheWholeTileIsTheMeanOfTheHistogram) {
  const auto call = naive::make_call({7, 6, 9}, {4, 4, 4}, 2, 1, 3, 24, 5);
  const auto recorded = naive::record(call, {}, default_cpu_impl(), 2);
  const StatArray& histogram = recorded.arrays.at("query_cosine");
  const StatArray& windows = recorded.arrays.at("window_cosine");
  EXPECT_THAT(windows.axes, ElementsAre("window"));
  for (int64_t h = 0; h < call.heads; ++h) {
    double rows = 0, sum = 0;
    for (int64_t bin = 0; bin < 64; ++bin) {
      const double count = histogram.values[h * 64 + bin];
      rows += count;
      sum += count * ((static_cast<double>(bin) + 0.5) / 32 - 1);
    }
    EXPECT_NEAR(windows.values[(h + 1) * windows.shape[1] - 1], sum / rows, 1.0 / 32);
  }
}

// Queries that change along w alone: windows along t and h hold equal ones.
TEST(WindowCosine, TellsTheAxesApart) {
  std::vector<float> q;
  for (int64_t token = 0; token < 4 * 4 * 8; ++token) {
    q.push_back(std::cos(static_cast<float>(token % 8)));
    q.push_back(std::sin(static_cast<float>(token % 8)));
  }
  const std::vector<double> found = cosines_of(q.data(), Dtype::kF32, {4, 4, 8}, {2, 2, 2}, 2);
  ASSERT_EQ(found.size(), 5u);  // t, h, w, hw, thw
  EXPECT_NEAR(found[0], 1.0, 1e-6);
  EXPECT_NEAR(found[1], 1.0, 1e-6);
  EXPECT_NEAR(found[2], std::cos(1.0), 1e-6);
  EXPECT_NEAR(found[3], (1 + 2 * std::cos(1.0)) / 3, 1e-6);
  EXPECT_NEAR(found[4], (3 + 4 * std::cos(1.0)) / 7, 1e-6);
}

}  // namespace
}  // namespace sparsescope
