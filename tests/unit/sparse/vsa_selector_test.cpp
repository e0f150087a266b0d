// The published micro-case of VSA: grid 2,3,3 with tiles 2,2,2, so that three of the four tiles are
// clipped; lists exact, values through every implementation.
#include "sparse/vsa_selector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "core/error.h"
#include "core/thread_pool.h"
#include "kernels/kernel_table.h"
#include "sparse/head_lists.h"
#include "sparse/masks.h"
#include "support/near.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::near;
using testing::Qkv;

const TokenGrid kGrid{2, 3, 3};

Qkv micro_case() {
  return {.tokens = 18,
          .head_dim = 2,
          .q = testing::pattern(18, 2, 5, 7, 1, 13, 6, 4),
          .k = testing::pattern(18, 2, 3, 4, 2, 13, 6, 4),
          .v = testing::pattern(18, 2, 7, 2, 5, 13, 6, 4)};
}

// softmax(Z) times the tiles' mean values, in fp64: [N, D].
std::vector<double> coarse_output(const TokenLayout& layout, const Qkv& x,
                                  const std::vector<float>& scores) {
  const int64_t num_tiles = layout.num_tiles();
  std::vector<double> out(num_tiles * x.head_dim, 0.0);
  for (int64_t i = 0; i < num_tiles; ++i) {
    double total = 0;
    for (int64_t j = 0; j < num_tiles; ++j) total += std::exp(double{scores[i * num_tiles + j]});
    for (int64_t j = 0; j < num_tiles; ++j) {
      const double prob = std::exp(double{scores[i * num_tiles + j]}) / total;
      for (const int32_t token : layout.tokens_of(j)) {
        for (int64_t d = 0; d < x.head_dim; ++d) {
          out[i * x.head_dim + d] += prob * x.row(x.v, 0, 0, token)[d] / layout.ranges[j].count;
        }
      }
    }
  }
  return out;
}

struct MicroExpectation {
  int64_t top_k;
  std::string lists;
  std::vector<double> rows;  // O[0], O[8], O[17]
  double sum, sum_squares;
};

void PrintTo(const MicroExpectation& expected, std::ostream* stream) {
  *stream << "top_k " << expected.top_k;
}

class VsaMicroCase : public ::testing::TestWithParam<MicroExpectation> {};

TEST_P(VsaMicroCase, ListsAndOutput) {
  const MicroExpectation& expected = GetParam();
  const Qkv x = micro_case();
  const TokenLayout layout = make_token_layout(TileGrid(kGrid, {2, 2, 2}), 0, 0);
  ThreadPool pool(2);
  for (const Impl impl : available_impls()) {
    std::vector<float> fine;
    const AttentionCall call = testing::make_call(x, kGrid, fine);
    const testing::ScoredLists selection =
        testing::select_vsa_head({call.q, call.k, call.scale, &layout, impl}, 0, 0, expected.top_k);
    EXPECT_EQ(testing::lists_to_string(selection.lists), expected.lists);
    const std::vector<double> scores = {
        0.004143,  -0.071816, -0.044194, 0.113248,  0.024859, -0.030383, -0.104961, 0.198874,
        -0.041432, 0.124296,  0.204398,  -0.419845, 0.033146, -0.049718, -0.143631, 0.276214};
    EXPECT_TRUE(near(selection.scores, scores, {.max_abs = 1e-6}));

    const HeadLists head = tile_head_lists(layout, selection.lists, 0, 0);
    const BlockLists lists = join_lists(layout, {&head, 1});
    attention_kernels(impl).sparse({.q = call.q,
                                    .k = call.k,
                                    .v = call.v,
                                    .scale = call.scale,
                                    .out = call.out,
                                    .selection = lists.view()},
                                   pool);
    const std::vector<double> coarse = coarse_output(layout, x, selection.scores);
    const std::vector<float> gate = testing::pattern(18, 2, 2, 9, 0, 13, 6, 4);
    std::vector<double> out;
    for (int64_t i = 0; i < 36; ++i) {
      const int64_t tile = layout.tiles.tile_of_token(i / 2);
      out.push_back(fine[i] + gate[i] * coarse[tile * 2 + i % 2]);
    }
    EXPECT_TRUE(near(std::vector<double>{out[0], out[1], out[16], out[17], out[34], out[35]},
                     expected.rows, {.max_abs = 2e-6}));
    double sum = 0, squares = 0;
    for (const double value : out) {
      sum += value;
      squares += value * value;
    }
    EXPECT_NEAR(sum, expected.sum, 1e-5);
    EXPECT_NEAR(squares, expected.sum_squares, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(
    TopK, VsaMicroCase,
    ::testing::Values(
        MicroExpectation{1,
                         "3/3/2/3",
                         {0.449130, 1.131342, 0.446523, 1.293254, 0.550375, 0.915131},
                         19.833792,
                         20.896029},
        MicroExpectation{2,
                         "03/03/12/03",
                         {0.179175, 0.550512, 0.217905, 0.666611, 0.070428, -0.533758},
                         -0.624558,
                         5.908207},
        MicroExpectation{4,
                         "0123/0123/0123/0123",
                         {0.107398, 0.371234, 0.134736, 0.499730, -0.348307, -0.514655},
                         -4.211095,
                         4.697112}));

TEST(VsaSelector, TiesGoToTheLowerTile) {
  const std::vector<float> scores = {1, 1, 1, 0, 2, 2, 5, 3, 5};
  EXPECT_EQ(testing::lists_to_string(top_k_tiles(scores, 3, 2)), "01/12/02");
}

TEST(VsaSelector, RefusesACountOutsideTheTiles) {
  const std::vector<float> scores(9, 0.0f);
  for (const int64_t top_k : {0, 4}) {
    try {
      top_k_tiles(scores, 3, top_k);
      FAIL() << top_k;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
}

TEST(VsaSelector, Bf16AndFp16InputsAreWidenedBeforePooling) {
  const Qkv x = micro_case();  // its values are exact in both types
  const TokenLayout layout = make_token_layout(TileGrid(kGrid, {2, 2, 2}), 0, 0);
  const auto fp32 = testing::select_vsa_head(
      {x.view(x.q), x.view(x.k), 1.0f, &layout, Impl::kReference}, 0, 0, 2);
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    const auto narrow = [&](const std::vector<float>& values) {
      std::vector<uint16_t> bits;
      for (const float v : values) {
        bits.push_back(dtype == Dtype::kBF16 ? float_to_bf16(v) : float_to_f16(v));
      }
      return bits;
    };
    const std::vector<uint16_t> q = narrow(x.q), k = narrow(x.k);
    const auto selection =
        testing::select_vsa_head({contiguous_attention_tensor(q.data(), dtype, 1, 1, 18, 2),
                                  contiguous_attention_tensor(k.data(), dtype, 1, 1, 18, 2), 1.0f,
                                  &layout, Impl::kReference},
                                 0, 0, 2);
    EXPECT_EQ(selection.scores, fp32.scores);
    EXPECT_EQ(selection.lists.tiles, fp32.lists.tiles);
  }
}

}  // namespace
}  // namespace sparsescope
