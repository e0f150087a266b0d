// What holds for every input of the VSA and BSA selectors, whichever numbers it holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/thread_pool.h"
#include "kernels/kernel_table.h"
#include "sparse/bsa_queries.h"
#include "sparse/bsa_selector.h"
#include "sparse/vsa_selector.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::Qkv;

constexpr int64_t kTopK = 3;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
const TokenGrid kGrid{6, 9, 10};  // clipped tiles on every axis

TokenLayout layout() { return make_token_layout(TileGrid(kGrid, {4, 4, 4}), 0, 0); }

Qkv random_input() { return testing::random_qkv(1, 2, kGrid.tokens(), 24, 21); }

struct Selected {
  std::vector<TileLists> vsa;
  std::vector<BsaSelection> bsa;
};

Selected select(const Qkv& x, Impl impl, int threads) {
  const TokenLayout tiles = layout();
  const TileSelectorCall call{x.view(x.q), x.view(x.k), 0.2f, &tiles, impl};
  ThreadPool pool(threads);
  return {select_vsa(call, std::vector<VsaHead>{{0, 0, kTopK}, {0, 1, kTopK}}, pool),
          select_bsa(call, std::vector<BsaHead>{{0, 0, {}}, {0, 1, {}}}, pool)};
}

void expect_ascending(std::span<const int32_t> list, int64_t end) {
  EXPECT_TRUE(std::adjacent_find(list.begin(), list.end(), std::greater_equal<>()) == list.end());
  EXPECT_TRUE(list.empty() || (list.front() >= 0 && list.back() < end));
}

void expect_laws(const Qkv& x) {
  const TokenLayout tiles = layout();
  const int64_t num_tiles = tiles.num_tiles();
  for (const Impl impl : available_impls()) {
    const Selected selected = select(x, impl, 2);
    for (const TileLists& lists : selected.vsa) {
      for (int64_t i = 0; i < num_tiles; ++i) {
        EXPECT_EQ(std::ssize(lists.of(i)), kTopK);
        expect_ascending(lists.of(i), num_tiles);
      }
    }
    for (const BsaSelection& bsa : selected.bsa) {
      for (int64_t i = 0; i < num_tiles; ++i) {
        const auto tokens = tiles.tokens_of(i);
        const auto kept = bsa.kept.of(i);
        int64_t quota = 0;
        for (const auto& slots : query_windows(tiles.tiles.box(i), {4, 4, 4}, {}).slots) {
          quota += (std::ssize(slots) + 1) / 2;
        }
        EXPECT_EQ(std::ssize(kept), quota);
        expect_ascending(kept, std::ssize(tokens));
        EXPECT_GE(bsa.lists.of(i).size(), 4u);
        expect_ascending(bsa.lists.of(i), num_tiles);
        std::vector<bool> is_kept(tokens.size(), false);
        for (const int32_t slot : kept) is_kept[slot] = true;
        EXPECT_TRUE(is_kept[centre_slot(tiles.tiles.box(i), {4, 4, 4}, {})]);
        for (size_t slot = 0; slot < tokens.size(); ++slot) {
          const int32_t source = bsa.restore_from[tokens[slot]];
          const auto at = std::find(tokens.begin(), tokens.end(), source) - tokens.begin();
          ASSERT_LT(at, std::ssize(tokens));
          EXPECT_TRUE(is_kept[at]);
          EXPECT_TRUE(!is_kept[slot] || source == tokens[slot]);
        }
      }
    }
  }
}

void expect_same(const Selected& a, const Selected& b) {
  for (size_t h = 0; h < a.vsa.size(); ++h) {
    EXPECT_EQ(a.vsa[h].tiles, b.vsa[h].tiles);
    EXPECT_EQ(a.bsa[h].kept.tiles, b.bsa[h].kept.tiles);
    EXPECT_EQ(a.bsa[h].lists.first, b.bsa[h].lists.first);
    EXPECT_EQ(a.bsa[h].lists.tiles, b.bsa[h].lists.tiles);
    EXPECT_EQ(a.bsa[h].restore_from, b.bsa[h].restore_from);
  }
}

TEST(SelectionLaws, HoldOnRandomInputs) { expect_laws(random_input()); }

TEST(SelectionLaws, HoldWithOutliers) {
  Qkv x = random_input();
  for (size_t i = 0; i < x.q.size(); i += 97) x.q[i] *= 1e4f;
  for (size_t i = 0; i < x.k.size(); i += 89) x.k[i] *= -1e4f;
  expect_laws(x);
}

TEST(SelectionLaws, HoldWhereNumbersAreMissingOrInfinite) {
  Qkv x = random_input();
  for (size_t i = 0; i < x.q.size(); i += 1000) x.q[i] = i % 2000 ? kNan : -kInf;
  for (size_t i = 0; i < x.k.size(); i += 3000) x.k[i] = i % 2000 ? kNan : -kInf;
  expect_laws(x);
  std::fill(x.k.begin(), x.k.end(), kNan);
  expect_laws(x);
}

TEST(SelectionLaws, EqualTokensKeepTheLowestOfEverything) {
  Qkv x = random_input();
  std::fill(x.q.begin(), x.q.end(), 0.25f);  // sums are exact
  std::fill(x.k.begin(), x.k.end(), -0.5f);
  expect_laws(x);
  const Selected selected = select(x, Impl::kReference, 1);
  EXPECT_EQ(std::vector<int32_t>(selected.vsa[0].of(5).begin(), selected.vsa[0].of(5).end()),
            (std::vector<int32_t>{0, 1, 2}));
  // Constant rows of scores keep all tiles; tile 0 is full, and its first windows keep their lowest
  // four slots.
  EXPECT_EQ(std::ssize(selected.bsa[0].lists.tiles), 18 * 18);
  const auto kept = selected.bsa[0].kept.of(0);
  for (const int32_t slot : {0, 1, 4, 5, 2, 3, 6, 7, 42}) {
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), slot)) << slot;
  }
  for (const int32_t slot : {16, 17, 20, 21, 58, 59, 62, 63}) {
    EXPECT_FALSE(std::binary_search(kept.begin(), kept.end(), slot)) << slot;
  }
}

TEST(SelectionLaws, DoNotDependOnTheScaleOfQueries) {
  const Qkv x = random_input();
  Qkv loud = x;
  for (float& value : loud.q) value *= 16.0f;  // exact
  for (const Impl impl : available_impls()) expect_same(select(x, impl, 1), select(loud, impl, 1));
}

TEST(SelectionLaws, DoNotDependOnTheNumberOfThreads) {
  const Qkv x = random_input();
  for (const Impl impl : available_impls()) expect_same(select(x, impl, 1), select(x, impl, 3));
}

// Share of a row's attention inside the best tiles by true mass is never below that inside the
// tiles that the means rank best, and all of it where all tiles are kept.
TEST(SelectionLaws, TrueRankingRecallsNoLessThanTheMeans) {
  const Qkv x = random_input();
  const TokenLayout tiles = layout();
  const int64_t num_tiles = tiles.num_tiles();
  ThreadPool pool(2);
  const TileSelectorCall call{x.view(x.q), x.view(x.k), 0.2f, &tiles, Impl::kReference};
  for (const double fraction : {0.05, 0.1, 0.125, 0.25, 0.5, 0.75, 1.0}) {
    const auto top_k = std::max<int64_t>(1, std::llround(fraction * num_tiles));
    const TileLists lists = select_vsa(call, std::vector<VsaHead>{{0, 0, top_k}}, pool)[0];
    double by_means = 0, by_mass = 0;
    for (int64_t i = 0; i < num_tiles; ++i) {
      for (const int32_t row : tiles.tokens_of(i)) {
        std::vector<double> mass(num_tiles, 0.0);
        double total = 0;
        for (int64_t j = 0; j < num_tiles; ++j) {
          for (const int32_t key : tiles.tokens_of(j)) {
            mass[j] += std::exp(x.logit(0.2, 0, 0, row, key));
          }
          total += mass[j];
        }
        double found = 0;
        for (const int32_t j : lists.of(i)) found += mass[j];
        std::sort(mass.begin(), mass.end(), std::greater<>());
        double best = 0;
        for (int64_t j = 0; j < top_k; ++j) best += mass[j];
        EXPECT_GE(best, found * (1 - 1e-12));
        by_means += found / total;
        by_mass += best / total;
      }
    }
    EXPECT_GE(by_mass, by_means - 1e-9);
    if (top_k == num_tiles) {
      EXPECT_NEAR(by_means / kGrid.tokens(), 1.0, 1e-12);
      EXPECT_NEAR(by_mass / kGrid.tokens(), 1.0, 1e-12);
    }
  }
}

}  // namespace
}  // namespace sparsescope
