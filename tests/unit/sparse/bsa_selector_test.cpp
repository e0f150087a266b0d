// The published micro-case of BSA: grid 2,2,8, four tiles 2,2,2, half of the queries kept, no
// windows.
#include "sparse/bsa_selector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "capture/gaussian_cut.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "kernels/kernel_table.h"
#include "sparse/bsa_kv_rules.h"
#include "sparse/bsa_restore.h"
#include "sparse/head_lists.h"
#include "support/near.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::lists_to_string;
using testing::near;
using testing::Qkv;
using testing::ScoredBsa;
using testing::select_bsa_head;

const TokenGrid kGrid{2, 2, 8};
const TileShape kTile{2, 2, 2};

Qkv micro_case() {
  return {.tokens = 32,
          .head_dim = 3,
          .q = testing::pattern(32, 3, 25, 4, 4, 37, 18, 8),
          .k = testing::pattern(32, 3, 35, 25, 22, 37, 18, 2),
          .v = testing::pattern(32, 3, 7, 2, 5, 37, 18, 8)};
}

TokenLayout micro_layout() { return make_token_layout(TileGrid(kGrid, kTile), 0, 0); }

BsaOptions default_options(double kappa, BsaRestore restore = BsaRestore::kSimilar) {
  return {
      .query = {.window = {0, 0, 0}}, .kv = {.keep = kappa, .min_blocks = 1}, .restore = restore};
}

BsaOptions parity_options() {
  BsaOptions options = bsa_fastvideo_options(kTile);
  options.kv.min_blocks = 1;
  return options;
}

ScoredBsa select(const Qkv& x, const BsaOptions& options) {
  const TokenLayout layout = micro_layout();
  return select_bsa_head(
      {x.view(x.q), x.view(x.k), 1.0f / std::sqrt(3.0f), &layout, Impl::kReference}, 0, 0, options);
}

// Source slots of slots 0..7 of each tile.
std::string sources_to_string(const BsaSelection& selection) {
  const TokenLayout layout = micro_layout();
  std::string text;
  for (int64_t tile = 0; tile < 4; ++tile) {
    if (tile > 0) text += '/';
    const auto tokens = layout.tokens_of(tile);
    for (const int32_t token : tokens) {
      const auto at = std::find(tokens.begin(), tokens.end(), selection.restore_from[token]);
      text += std::to_string(at - tokens.begin());
    }
  }
  return text;
}

TEST(BsaMicroCase, KeptQueriesAndScores) {
  const ScoredBsa ours = select(micro_case(), default_options(0.5));
  EXPECT_EQ(lists_to_string(ours.kept), "1257/2567/2367/1257");
  const std::vector<double> scores = {
      0.471352,  -0.293186, -0.640498, 0.180422,  -0.412715, -2.462760, -1.008108, 1.447886,
      -0.913386, -0.293186, 0.744241,  -0.304462, 0.669817,  -0.293186, -0.838962, 0.451055};
  EXPECT_TRUE(near(ours.scores, scores, {.max_abs = 1e-6}));

  const ScoredBsa parity = select(micro_case(), parity_options());
  EXPECT_EQ(lists_to_string(parity.kept), "2356/2356/2356/2356");
  const std::vector<double> parity_scores = {
      0.640498,  1.876388,  0.442034, -0.658540, -0.239059, -2.462760, -1.181764, 1.684690,
      -1.285506, -0.293186, 1.116361, -0.811899, 0.838962,  1.876388,  0.243570,  -0.387907};
  EXPECT_TRUE(near(parity.scores, parity_scores, {.max_abs = 1e-6}));
}

TEST(BsaMicroCase, CutoffsAndLists) {
  const ScoredBsa ours = select(micro_case(), default_options(0.5));
  EXPECT_EQ(lists_to_string(ours.lists), "03/03/2/03");
  const auto cutoffs = [&](double kappa) {
    std::vector<double> found;
    for (size_t row = 0; row < 4; ++row) {
      found.push_back(
          gaussian_cutoff(std::span(ours.scores).subspan(row * 4, 4), gaussian_cut(kappa)));
    }
    return found;
  };
  EXPECT_TRUE(near(cutoffs(0.5), std::vector<double>{-0.070477, -0.608924, -0.191698, -0.002819},
                   {.max_abs = 1e-6}));
  EXPECT_TRUE(near(cutoffs(0.25), std::vector<double>{0.217872, 0.336867, 0.210151, 0.402140},
                   {.max_abs = 1e-6}));
  const auto lists = [](BsaOptions options, BsaKvOptions kv) {
    kv.min_blocks = 1;
    options.kv = kv;
    return lists_to_string(select(micro_case(), options).lists);
  };
  EXPECT_EQ(lists(default_options(1), {.keep = 0.25}), "0/3/2/03");
  EXPECT_EQ(lists(default_options(1), {.rule = BsaKvRule::kGaussProb, .keep = 0.25}), "0/3/2/0");
  EXPECT_EQ(lists(parity_options(), {.keep = 0.5}), "01/03/12/01");
  EXPECT_EQ(lists(parity_options(), {.keep = 0.25}), "1/3/2/1");
  EXPECT_EQ(lists(parity_options(), {.rule = BsaKvRule::kGaussProb, .keep = 0.25}), "1/3/2/1");
  EXPECT_EQ(lists(parity_options(), {.rule = BsaKvRule::kCdf, .mass = 0.9}), "012/03/123/012");
}

TEST(BsaMicroCase, RestoreSources) {
  EXPECT_EQ(sources_to_string(select(micro_case(), default_options(0.5))),
            "71271577/67267567/37237267/71271527");
  EXPECT_EQ(sources_to_string(select(micro_case(), default_options(0.5, BsaRestore::kNearest))),
            "11225557/22225567/22233667/11225557");
  EXPECT_EQ(sources_to_string(select(micro_case(), parity_options())),
            "22233566/22233566/22233566/22233566");
}

struct OutputExpectation {
  BsaOptions options;
  double sum, sum_squares;
  std::vector<double> first;  // O[0]
};

TEST(BsaMicroCase, OutputsOfEveryRestoreRule) {
  const std::vector<OutputExpectation> runs = {
      {default_options(0.5, BsaRestore::kZero), 9.655485, 20.195370, {0, 0, 0}},
      {default_options(0.5, BsaRestore::kNearest),
       20.553049,
       42.043960,
       {0.352883, 0.303277, 0.553277}},
      {default_options(0.5, BsaRestore::kCentre),
       22.663389,
       40.475319,
       {-0.034905, 0.215014, 0.465014}},
      {default_options(0.5), 23.940035, 37.285108, {-0.034905, 0.215014, 0.465014}},
      {default_options(0.25), 9.129654, 50.780578, {0.336775, 0.586775, 0.836775}},
      {parity_options(), 2.283194, 46.190852, {0.290225, 0.540225, 0.658706}}};
  const Qkv x = micro_case();
  const TokenLayout layout = micro_layout();
  ThreadPool pool(2);
  for (const Impl impl : available_impls()) {
    for (const OutputExpectation& run : runs) {
      std::vector<float> out;
      const AttentionCall call = testing::make_call(x, kGrid, out);
      const BsaSelection selection = select(x, run.options);
      const HeadLists head = bsa_head_lists(layout, selection, 0, 0);
      const BlockLists lists = join_lists(layout, {&head, 1});
      attention_kernels(impl).sparse({.q = call.q,
                                      .k = call.k,
                                      .v = call.v,
                                      .scale = call.scale,
                                      .out = call.out,
                                      .selection = lists.view()},
                                     pool);
      restore_pruned_rows(selection.restore_from, 0, 0, 0, 3, call.out);
      double sum = 0, squares = 0;
      for (const float value : out) {
        sum += value;
        squares += static_cast<double>(value) * value;
      }
      EXPECT_NEAR(sum, run.sum, 3e-5);  // fp32 outputs
      EXPECT_NEAR(squares, run.sum_squares, 3e-5);
      EXPECT_TRUE(
          near(std::vector<float>(out.begin(), out.begin() + 3), run.first, {.max_abs = 2e-6}));
    }
  }
}

TEST(BsaSelector, DefaultKeepsHalfOfEveryWindowAndTheCentre) {
  const Qkv x = testing::random_qkv(1, 1, 8 * 8 * 8, 16, 3);
  const TokenLayout layout = make_token_layout(TileGrid({8, 8, 8}, {4, 4, 4}), 0, 0);
  const ScoredBsa selection = select_bsa_head(
      {x.view(x.q), x.view(x.k), 0.25f, &layout, Impl::kReference}, 0, 0, BsaOptions{});
  for (int64_t tile = 0; tile < 8; ++tile) {
    const auto kept = selection.kept.of(tile);
    ASSERT_EQ(kept.size(), 32u);
    EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), 42));
    std::vector<int> in_window(8, 0);
    for (const int32_t slot : kept) {
      ++in_window[((slot / 32) * 2 + (slot / 8) % 2) * 2 + (slot / 2) % 2];
    }
    EXPECT_EQ(in_window, std::vector<int>(8, 4));
    EXPECT_GE(selection.lists.of(tile).size(), 4u);
  }
}

TEST(BsaSelector, RefusesWhatItCannotMeet) {
  const Qkv x = testing::random_qkv(1, 1, 5 * 4 * 4, 8, 4);
  const TokenLayout ragged = make_token_layout(TileGrid({5, 4, 4}, {4, 4, 4}), 0, 0);
  const auto kind_of = [&](const BsaOptions& options) {
    try {
      select_bsa_head({x.view(x.q), x.view(x.k), 1.0f, &ragged, Impl::kReference}, 0, 0, options);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind_of(bsa_fastvideo_options({4, 4, 4})), ErrorKind::kUsage);
  EXPECT_EQ(kind_of({.query = {.keep = 0}}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of({.query = {.keep = 1.5}}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of({.kv = {.keep = 0}}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of({.query = {.keep_reference = false}, .restore = BsaRestore::kCentre}),
            ErrorKind::kUsage);
}

}  // namespace
}  // namespace sparsescope
