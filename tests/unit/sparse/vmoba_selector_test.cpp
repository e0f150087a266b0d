// The published masks of VMoBA, reached through q and k: keys are unit vectors, so that a query's
// coordinates are its gates.
#include "sparse/vmoba_selector.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "kernels/impl.h"
#include "sparse/masks.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::Qkv;

constexpr int64_t kBlocks = 3, kHeads = 2, kTokens = 6;

// gate[c][h][s] = ((23*e + 7) mod 37) - 18, e = (c*H + h)*S + s; two tokens a block.
Qkv published_gates() {
  Qkv x{.heads = kHeads, .tokens = kTokens, .head_dim = kBlocks};
  for (int64_t h = 0; h < kHeads; ++h) {
    for (int64_t s = 0; s < kTokens; ++s) {
      for (int64_t c = 0; c < kBlocks; ++c) {
        const int64_t e = (c * kHeads + h) * kTokens + s;
        x.q.push_back(static_cast<float>((23 * e + 7) % 37 - 18));
        x.k.push_back(c == s / 2 ? 1.0f : 0.0f);
      }
    }
  }
  x.v = x.k;
  return x;
}

TokenLayout frame_layout(int64_t frames, int64_t frames_a_block) {
  const Partition partition{PartitionKind::kTemporal, {frames_a_block, 0, 0}};
  return make_token_layout(partition_blocks(partition, {frames, 1, 1}), 0, 0);
}

// "SS1010/10SS01/0101SS": rows are blocks, columns queries, S the own block.
std::string mask_to_string(const RowSelection& selection) {
  std::string text;
  for (int64_t c = 0; c < selection.num_blocks; ++c) {
    if (c > 0) text += '/';
    for (int64_t s = 0; s < selection.num_rows; ++s) {
      const bool selected = selection.selected(c, s);
      text += s / 2 == c ? (selected ? 'S' : '!') : (selected ? '1' : '0');
    }
  }
  return text;
}

struct MaskExpectation {
  VmobaParams params;
  std::string head_0, head_1;
};

VmobaParams top_k_of(int64_t k, VmobaPool pool) {
  return {.select = VmobaSelect::kTopK, .top_k = k, .pool = pool};
}

VmobaParams threshold_of(double tau, VmobaPool pool) {
  return {.select = VmobaSelect::kThreshold, .threshold = tau, .pool = pool};
}

TEST(VmobaSelector, PublishedMasks) {
  using enum VmobaPool;
  const std::string query_0 = "SS1010/10SS01/0101SS", query_1 = "SS1100/00SS11/1100SS";
  const std::string all = "SS1111/11SS11/1111SS";
  const std::vector<MaskExpectation> table = {
      {top_k_of(2, kQueryHead), query_0, query_1},
      {top_k_of(2, kHeadGlobal), query_0, "SS0100/00SS11/1101SS"},
      {top_k_of(2, kOverall), query_0, "SS0100/00SS11/1101SS"},
      {top_k_of(3, kQueryHead), all, all},
      {top_k_of(3, kHeadGlobal), all, all},
      {top_k_of(3, kOverall), all, all},
      {threshold_of(0.25, kQueryHead), query_0, query_1},
      {threshold_of(0.5, kQueryHead), query_0, query_1},
      {threshold_of(0.75, kQueryHead), query_0, "SS1100/00SS11/1101SS"},
      {threshold_of(0.25, kHeadGlobal), "SS0000/00SS00/0001SS", "SS0000/00SS10/0000SS"},
      {threshold_of(0.5, kHeadGlobal), "SS0000/00SS01/0001SS", "SS0000/00SS10/0000SS"},
      {threshold_of(0.75, kHeadGlobal), "SS0010/00SS01/0101SS", "SS0100/00SS10/1001SS"},
      {threshold_of(0.25, kBlock), "SS0000/00SS00/0001SS", "SS0100/00SS10/0000SS"},
      {threshold_of(0.5, kBlock), "SS0000/00SS00/0001SS", "SS0100/00SS10/1000SS"},
      {threshold_of(0.75, kBlock), "SS0010/10SS01/0101SS", "SS0100/00SS10/1000SS"},
      {threshold_of(0.25, kOverall), "SS0000/00SS00/0001SS", "SS0000/00SS00/0000SS"},
      {threshold_of(0.5, kOverall), "SS0000/00SS00/0001SS", "SS0000/00SS10/1000SS"},
      {threshold_of(0.75, kOverall), "SS0010/00SS01/0101SS", "SS0100/00SS10/1001SS"},
      {top_k_of(1, kQueryHead), "SS0000/00SS00/0000SS", "SS0000/00SS00/0000SS"}};
  const Qkv x = published_gates();
  const TokenLayout layout = frame_layout(kTokens, 2);
  const std::vector<int64_t> heads = {0, 1};
  ThreadPool pool(2);
  for (const Impl impl : available_impls()) {
    for (const MaskExpectation& expected : table) {
      const auto selections = select_vmoba(x.view(x.q), x.view(x.k), heads, layout,
                                           {.params = expected.params}, impl, pool);
      ASSERT_EQ(selections.size(), 2u);
      const std::string what =
          std::string(impl_name(impl)) + " " + to_string(expected.params.select) + " " +
          to_string(expected.params.pool) + " " + std::to_string(expected.params.threshold);
      EXPECT_EQ(mask_to_string(selections[0]), expected.head_0) << what;
      EXPECT_EQ(mask_to_string(selections[1]), expected.head_1) << what;
    }
  }
}

TEST(VmobaSelector, HeadsAreChosenByTheirNumber) {
  const Qkv x = published_gates();
  const std::vector<int64_t> second = {1};
  ThreadPool pool(1);
  const auto selections =
      select_vmoba(x.view(x.q), x.view(x.k), second, frame_layout(kTokens, 2),
                   {.params = top_k_of(2, VmobaPool::kHeadGlobal)}, Impl::kReference, pool);
  EXPECT_EQ(mask_to_string(selections.at(0)), "SS0100/00SS11/1101SS");
}

TEST(VmobaSelector, GatesUseTheMeanOfAShortLastBlock) {
  // Blocks of 2, 2 and 1 frames. Query 0 = 1 scores the means 1, (0 + 3)/2 and 1.4.
  Qkv x{.tokens = 5, .head_dim = 1, .q = {1, 1, 1, 1, 1}, .k = {1, 1, 0, 3, 1.4f}};
  const std::vector<int64_t> heads = {0};
  ThreadPool pool(1);
  const auto selections =
      select_vmoba(x.view(x.q), x.view(x.k), heads, frame_layout(5, 2),
                   {.params = top_k_of(2, VmobaPool::kQueryHead)}, Impl::kReference, pool);
  const RowSelection& mask = selections.at(0);
  ASSERT_EQ(mask.num_blocks, 3);
  const std::vector<uint8_t> expected = {1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(mask.selected(static_cast<int64_t>(i / 5), static_cast<int64_t>(i % 5)),
              expected[i] != 0)
        << i;
  }
}

TEST(VmobaSelector, ManyQueriesAreCutIntoRunsWithoutASeam) {
  // More queries than one run holds; every query's gate order is known.
  constexpr int64_t kFrames = 1300;
  Qkv x{.tokens = kFrames, .head_dim = 2};
  for (int64_t s = 0; s < kFrames; ++s) {
    x.q.insert(x.q.end(), {s % 3 == 0 ? 1.0f : -1.0f, 0.0f});
    x.k.insert(x.k.end(), {static_cast<float>(s / 130), 0.0f});  // block means 0 .. 9
  }
  const std::vector<int64_t> heads = {0};
  ThreadPool pool(2);
  const auto selections =
      select_vmoba(x.view(x.q), x.view(x.k), heads, frame_layout(kFrames, 130),
                   {.params = top_k_of(2, VmobaPool::kQueryHead)}, Impl::kReference, pool);
  for (int64_t s = 0; s < kFrames; ++s) {
    const int64_t own = s / 130;
    const int64_t best = s % 3 == 0 ? (own == 9 ? 8 : 9) : (own == 0 ? 1 : 0);
    for (int64_t c = 0; c < 10; ++c) {
      ASSERT_EQ(selections[0].selected(c, s), c == own || c == best) << s << " " << c;
    }
  }
}

TEST(VmobaSelector, RefusesWhatItCannotMeet) {
  const Qkv x = published_gates();
  const std::vector<int64_t> heads = {0, 1};
  ThreadPool pool(2);
  for (const VmobaParams& params :
       {top_k_of(2, VmobaPool::kBlock), top_k_of(0, VmobaPool::kQueryHead)}) {
    try {
      select_vmoba(x.view(x.q), x.view(x.k), heads, frame_layout(kTokens, 2), {.params = params},
                   Impl::kReference, pool);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
}

}  // namespace
}  // namespace sparsescope
