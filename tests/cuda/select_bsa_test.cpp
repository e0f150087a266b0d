// BSA on the device against the host's selectors: kept queries, their key tiles, and the sources of
// pruned queries. The reference works in fp64, and no cosine or score of these seeds lies within a
// rounding of a cut; where tokens are equal, ties must fall alike.
#include <gtest/gtest.h>

#include "core/thread_pool.h"
#include "cuda/device_fixture.h"
#include "cuda/select_case.h"
#include "kernels/cuda/select_queries.h"
#include "sparse/head_lists.h"
#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

using SelectBsa = CudaTest;

BlockLists host_lists(const Qkv& x, const TokenLayout& layout, std::span<const BsaHead> heads) {
  ThreadPool pool(1);
  const std::vector<BsaSelection> selections = select_bsa({.q = x.view(x.q),
                                                           .k = x.view(x.k),
                                                           .scale = 0.125f,
                                                           .layout = &layout,
                                                           .impl = Impl::kReference},
                                                          heads, pool);
  std::vector<HeadLists> of_heads;
  std::vector<int32_t> restore_from;
  for (size_t i = 0; i < heads.size(); ++i) {
    of_heads.push_back(bsa_head_lists(layout, selections[i], heads[i].batch, heads[i].head));
    const std::vector<int32_t>& sources = selections[i].restore_from;
    restore_from.insert(restore_from.end(), sources.begin(), sources.end());
  }
  BlockLists lists = join_lists(layout, of_heads);
  lists.restore_from = restore_from;
  return lists;
}

// Of every row the tokens that take its output, ascending; together all that have a source.
void expect_copies(const DeviceSelection& found, const Qkv& x, const TokenLayout& layout) {
  const BlockLists lists = found.to_host();
  const RowCopies copies = found.copies();
  std::map<std::pair<int32_t, int32_t>, std::vector<int32_t>> takers;  // head, source
  int64_t num_copies = 0;
  for (int64_t i = 0; i < std::ssize(lists.restore_from); ++i) {
    const auto token = static_cast<int32_t>(i % layout.video_tokens() + layout.prefix);
    if (lists.restore_from[i] == token || lists.restore_from[i] < 0) continue;
    const int32_t head = found.planes().heads()[i / layout.video_tokens()];
    takers[{head, lists.restore_from[i]}].push_back(token);
    ++num_copies;
  }
  if (copies.num_rows == 0) {
    EXPECT_EQ(num_copies, 0);
    return;
  }
  std::vector<int32_t> first(copies.num_rows + 1), tokens(num_copies);
  cuda::copy_to_host(first.data(), copies.first, std::ssize(first) * sizeof(int32_t));
  ASSERT_EQ(first.front(), 0);
  ASSERT_EQ(first.back(), num_copies);
  cuda::copy_to_host(tokens.data(), copies.tokens, num_copies * sizeof(int32_t));
  for (const SparseStrand& strand : lists.strands) {
    const auto head = static_cast<int32_t>(strand.batch * x.heads + strand.head);
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = lists.items[i];
      for (int32_t row = item.first_row; row < item.first_row + item.num_rows; ++row) {
        if (row >= copies.num_rows) continue;
        std::vector<int32_t> of_row(tokens.begin() + first[row], tokens.begin() + first[row + 1]);
        std::sort(of_row.begin(), of_row.end());
        EXPECT_EQ(of_row, (takers[{head, lists.rows[row]}]));
      }
    }
  }
}

void expect_as_host(const DeviceInputs& inputs, const TokenLayout& layout,
                    std::span<const BsaHead> heads) {
  const DeviceSelection found = select_bsa_on_device(inputs.call(layout), heads);
  const BlockLists expected = host_lists(inputs.host(), layout, heads);
  expect_lists(found, expected, inputs.host());
  EXPECT_EQ(found.to_host().restore_from, expected.restore_from);
  expect_copies(found, inputs.host(), layout);
}

// kappa and the least number of tiles differ from head to head.
std::vector<BsaHead> some_heads(const Qkv& x, const BsaOptions& options) {
  std::vector<BsaHead> heads;
  for (int64_t b = 0; b < x.batch; ++b) {
    for (int64_t h = 0; h < x.heads; ++h) {
      heads.push_back({b, h, options});
      heads.back().options.kv.keep = 0.15 + 0.2 * static_cast<double>((b + h) % 3);
      heads.back().options.kv.min_blocks = 1 + h;
    }
  }
  return heads;
}

TEST_F(SelectBsa, RaggedGridTextAndSamples) {
  const TokenLayout layout = make_token_layout(TileGrid({5, 9, 10}, {4, 4, 4}), 3, 70);
  const DeviceInputs inputs(random_qkv(2, 2, 523, 40, 7), Dtype::kF32, Order::kHeadMajor);
  const auto heads = some_heads(inputs.host(), {});
  for_each_schedule([&] { expect_as_host(inputs, layout, heads); });
}

TEST_F(SelectBsa, EveryTypeRuleAndRestore) {
  const TokenLayout layout = make_token_layout(TileGrid({4, 9, 6}, {4, 4, 4}), 0, 2);
  const auto restores = {BsaRestore::kSimilar, BsaRestore::kCentre, BsaRestore::kNearest,
                         BsaRestore::kZero};
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    const DeviceInputs inputs(random_qkv(1, 3, 218, 64, 21), dtype, Order::kTokenMajor);
    for (const BsaRestore restore : restores) {
      BsaOptions options{.restore = restore};
      options.query.keep = restore == BsaRestore::kNearest ? 0.75 : 0.5;
      if (restore == BsaRestore::kZero) options.query.window = {0, 0, 0};
      if (restore == BsaRestore::kNearest) options.query.reference = BsaReference::kWindowLast;
      if (dtype == Dtype::kBF16) options.kv.rule = BsaKvRule::kTopK;
      expect_as_host(inputs, layout, some_heads(inputs.host(), options));
    }
  }
}

// Cosines of 16-bit queries come from the matrix unit where D is 64 or 128.
TEST_F(SelectBsa, CosinesByMma) {
  const TokenLayout layout = make_token_layout(TileGrid({5, 9, 6}, {4, 4, 4}), 2, 0);
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    const DeviceInputs inputs(random_qkv(1, 2, 272, 128, 12), dtype, Order::kHeadMajor);
    const auto heads = some_heads(inputs.host(), {});
    for_each_schedule([&] { expect_as_host(inputs, layout, heads); });
  }
}

TEST_F(SelectBsa, LargeTiles) {
  const TokenLayout layout = make_token_layout(TileGrid({5, 9, 17}, {4, 4, 8}), 1, 0);
  const DeviceInputs inputs(random_qkv(1, 2, 766, 64, 5), Dtype::kBF16, Order::kHeadMajor);
  expect_as_host(inputs, layout, some_heads(inputs.host(), {}));
}

// Just under the 48 KB that a thread block gets unasked, with what is static beside them above it.
TEST_F(SelectBsa, TilesThatFillDefaultSharedMemory) {
  const TokenLayout layout = make_token_layout(TileGrid({4, 4, 22}, {4, 2, 11}), 0, 0);
  const DeviceInputs inputs(random_qkv(1, 1, 352, 128, 5), Dtype::kF32, Order::kHeadMajor);
  const int64_t bytes = cuda::query_select_bytes(88, 128);
  ASSERT_TRUE(bytes > 47 * 1024 && bytes <= 48 * 1024) << bytes;
  expect_as_host(inputs, layout, some_heads(inputs.host(), {}));
}

// All tokens of a tile alike: every cosine and, with all tiles alike, every score is a tie.
TEST_F(SelectBsa, Ties) {
  const TokenLayout layout = make_token_layout(TileGrid({4, 8, 8}, {4, 4, 4}), 0, 0);
  Qkv x = coarse_qkv(1, 2, 256, 16, 3);
  for (int64_t i = 0; i < std::ssize(x.q); ++i) {
    const bool second_head = i >= std::ssize(x.q) / 2;
    x.q[i] = static_cast<float>(i % 16 % 3) - 1;
    if (second_head) x.k[i] = static_cast<float>(i % 16 % 5) - 2;
  }
  const DeviceInputs inputs(x, Dtype::kF16, Order::kHeadMajor);
  for (const BsaRestore restore : {BsaRestore::kSimilar, BsaRestore::kNearest}) {
    expect_as_host(inputs, layout, some_heads(inputs.host(), {.restore = restore}));
  }
  BsaOptions dense;
  dense.query.keep = 1.0;
  dense.kv.keep = 1.0;
  const std::vector<BsaHead> heads{{0, 0, dense}, {0, 1, dense}};
  expect_as_host(inputs, layout, heads);
}

TEST_F(SelectBsa, TellsWhatItCannotDo) {
  const TokenLayout layout = make_token_layout(TileGrid({4, 4, 4}, {4, 4, 4}), 0, 0);
  const DeviceInputs inputs(random_qkv(1, 1, 64, 8, 2), Dtype::kF32, Order::kHeadMajor);
  const auto error = [&](ErrorKind kind, const BsaOptions& options) {
    return error_of(kind, [&] {
      select_bsa_on_device(inputs.call(layout), std::vector<BsaHead>{{0, 0, options}});
    });
  };
  BsaOptions cdf;
  cdf.kv.rule = BsaKvRule::kCdf;
  EXPECT_THAT(error(ErrorKind::kUnsupported, cdf), ::testing::HasSubstr("Gaussian cut-off"));
  BsaOptions none;
  none.query.keep = 0;
  EXPECT_THAT(error(ErrorKind::kUsage, none), ::testing::HasSubstr("kept fraction"));
}

}  // namespace
}  // namespace sparsescope::testing
