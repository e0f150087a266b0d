// The definitions, on problems that a reader can work out by hand. D = 1 and scale 1 throughout, so
// that the scores are the products q * k themselves.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernel_table.h"

namespace sparsescope {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Seen {
  std::vector<int32_t> groups;
  std::vector<float> mass, lse, entropy, mass_t, mass_h, mass_w;  // lane 0 of the first block
};

struct Tiny {
  TokenGrid grid;
  TileShape tile;
  int64_t prefix = 0, suffix = 0;
  std::vector<float> q, k, v;

  std::vector<float> out, lse;
  Seen seen;  // by the last group

  void run() {
    const KeyCells cells = make_key_cells(TileGrid(grid, tile), {}, prefix, suffix);
    const RowGroups rows = make_row_groups(TileGrid(grid, tile), prefix, suffix);
    const auto tokens = static_cast<int64_t>(q.size());
    out.assign(q.size(), -1);
    lse.assign(q.size(), -1);
    DenseAttentionParams params;
    params.q = contiguous_attention_tensor(q.data(), Dtype::kF32, 1, 1, tokens, 1);
    params.k = contiguous_attention_tensor(k.data(), Dtype::kF32, 1, 1, tokens, 1);
    params.v = contiguous_attention_tensor(v.data(), Dtype::kF32, 1, 1, tokens, 1);
    params.out = contiguous_output(out.data(), 1, tokens, 1);
    params.lse = lse.data();
    params.cells = &cells;
    params.rows = &rows;
    struct Context {
      Tiny* tiny;
      size_t cells;
    } context{this, cells.cells.size()};
    params.sink.context = &context;
    params.sink.consume = [](void* c, int, const RowGroupMasses& masses) {
      const auto [tiny, num_cells] = *static_cast<Context*>(c);
      const RowBlockMasses& block = masses.blocks[0];
      const auto lane0 = [](const float* values, size_t n) {
        std::vector<float> result;
        for (size_t i = 0; i < n; ++i) result.push_back(values[i * kRowLanes]);
        return result;
      };
      tiny->seen.groups.push_back(masses.group);
      tiny->seen.mass = lane0(block.mass, num_cells);
      tiny->seen.lse = lane0(block.lse, 1);
      tiny->seen.entropy = lane0(block.entropy, 1);
      tiny->seen.mass_t = lane0(block.mass_t, tiny->grid.t);
      tiny->seen.mass_h = lane0(block.mass_h, tiny->grid.h);
      tiny->seen.mass_w = lane0(block.mass_w, tiny->grid.w);
    };
    ThreadPool pool(1);
    attention_kernels(Impl::kReference).dense(params, pool);
  }
};

void expect_values(const std::vector<float>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(ReferenceDense, TwoTokens) {
  // Scores of both rows: 0 and ln 3, so P = [1/4, 3/4], out = 3/4 * 4 = 3, lse = ln(1 + 3).
  Tiny tiny{
      .grid = {1, 1, 2}, .tile = {1, 1, 1}, .q = {1, 1}, .k = {0, std::log(3.0f)}, .v = {0, 4}};
  tiny.run();
  expect_values(tiny.out, {3, 3});
  expect_values(tiny.lse, {std::log(4.0), std::log(4.0)});
  expect_values(tiny.seen.mass, {0.25, 0.75});
  expect_values(tiny.seen.lse, {std::log(4.0)});
  // -1/4 ln 1/4 - 3/4 ln 3/4 = ln 4 - 3/4 ln 3
  expect_values(tiny.seen.entropy, {std::log(4.0) - 0.75 * std::log(3.0)});
  expect_values(tiny.seen.mass_t, {1});
  expect_values(tiny.seen.mass_h, {1});
  expect_values(tiny.seen.mass_w, {0.25, 0.75});
}

TEST(ReferenceDense, CellsCoordinatesAndText) {
  // Token 0 is text, the video is 2 frames of 1 x 2. Scores ln of [2 | 1 3, 1 3] sum to 10:
  // text 0.2; tile of frame 0 has 0.1 + 0.3, frame 1 the same; column 0 has 0.2, column 1 has 0.6.
  const float ln2 = std::log(2.0f), ln3 = std::log(3.0f);
  Tiny tiny{.grid = {2, 1, 2},
            .tile = {1, 1, 2},
            .prefix = 1,
            .q = {1, 1, 1, 1, 1},
            .k = {ln2, 0, ln3, 0, ln3},
            .v = {10, 0, 0, 0, 20}};
  tiny.run();
  expect_values(tiny.out, {8, 8, 8, 8, 8});  // 0.2 * 10 + 0.3 * 20
  expect_values(tiny.seen.mass, {0.4, 0.4, 0.2});
  expect_values(tiny.seen.mass_t, {0.4, 0.4});
  expect_values(tiny.seen.mass_h, {0.8});
  expect_values(tiny.seen.mass_w, {0.2, 0.6});
  EXPECT_EQ(tiny.seen.groups, std::vector<int32_t>{0});  // the text rows' group reaches no sink
}

TEST(ReferenceDense, InfiniteScores) {
  // Row 0: one key at -inf has no mass. Row 1: all scores -inf, an empty row.
  Tiny tiny{.grid = {1, 1, 2},
            .tile = {1, 1, 1},
            .q = {1, kInfinity},
            .k = {-kInfinity, -1},
            .v = {100, 7}};
  tiny.run();
  expect_values(tiny.out, {7, 0});
  EXPECT_NEAR(tiny.lse[0], -1, 1e-6);
  EXPECT_EQ(tiny.lse[1], -kInfinity);
  expect_values(tiny.seen.mass, {0, 1});  // row 0
  expect_values(tiny.seen.entropy, {0});
}

TEST(ReferenceSparse, RangesItemsAndMerging) {
  // Five keys of equal score, values 1, 2, 4, 8, 16; three ranges: {4 3}, {0}, {1 2} of the order.
  const std::vector<float> q(5, 0), k(5, 1), v{1, 2, 4, 8, 16};
  const std::vector<int32_t> order{4, 3, 0, 1, 2};
  const std::vector<KeyRange> ranges{{0, 2}, {2, 1}, {3, 2}};
  // One strand: row 0 takes range 0, then range 1 as well; row 2 nothing; row 4 range 2.
  const std::vector<int32_t> rows{0, 2, 4, 0}, range_ids{0, 2, 1};
  const std::vector<SparseItem> items{{0, 1, 0, 1}, {1, 1, 1, 0}, {2, 1, 1, 1}, {3, 1, 2, 1}};
  const SparseStrand strand{.num_items = 4, .merges = true};
  std::vector<float> out(5, -1), lse(5, -1);
  SparseAttentionParams params;
  params.q = contiguous_attention_tensor(q.data(), Dtype::kF32, 1, 1, 5, 1);
  params.k = contiguous_attention_tensor(k.data(), Dtype::kF32, 1, 1, 5, 1);
  params.v = contiguous_attention_tensor(v.data(), Dtype::kF32, 1, 1, 5, 1);
  params.out = contiguous_output(out.data(), 1, 5, 1);
  params.lse = lse.data();
  params.selection = {.key_order = order.data(),
                      .num_keys = 5,
                      .ranges = ranges.data(),
                      .num_ranges = 3,
                      .rows = rows.data(),
                      .range_ids = range_ids.data(),
                      .items = items.data(),
                      .strands = &strand,
                      .num_strands = 1};
  ThreadPool pool(1);
  attention_kernels(Impl::kReference).sparse(params, pool);
  // Row 0: mean of 16, 8, 1; row 2: empty; row 4: mean of 2, 4; rows 1 and 3 are in no item.
  expect_values(out, {25.0 / 3, -1, 0, -1, 3});
  EXPECT_NEAR(lse[0], std::log(3.0), 1e-6);
  EXPECT_EQ(lse[2], -kInfinity);
  EXPECT_NEAR(lse[4], std::log(2.0), 1e-6);
  EXPECT_EQ(lse[1], -1);
}

}  // namespace
}  // namespace sparsescope
