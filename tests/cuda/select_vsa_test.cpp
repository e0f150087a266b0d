// VSA on the device against the host's selectors. Random inputs: the reference sums in fp64, and no
// score of these seeds lies within a rounding of its row's cut. Coarse inputs: all sums are exact,
// so that ties must fall alike.
#include <gtest/gtest.h>

#include "core/thread_pool.h"
#include "cuda/device_fixture.h"
#include "cuda/select_case.h"
#include "sparse/head_lists.h"
#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

using SelectVsa = CudaTest;

BlockLists host_lists(const Qkv& x, const TokenLayout& layout, std::span<const VsaHead> heads,
                      Impl impl) {
  ThreadPool pool(1);
  const std::vector<TileLists> lists = select_vsa(
      {.q = x.view(x.q), .k = x.view(x.k), .scale = 0.125f, .layout = &layout, .impl = impl}, heads,
      pool);
  std::vector<HeadLists> of_heads;
  for (size_t i = 0; i < heads.size(); ++i) {
    of_heads.push_back(tile_head_lists(layout, lists[i], heads[i].batch, heads[i].head));
  }
  return join_lists(layout, of_heads);
}

// A different K for each head; one head is left out.
std::vector<VsaHead> some_heads(const Qkv& x, int64_t num_tiles) {
  std::vector<VsaHead> heads;
  for (int64_t b = 0; b < x.batch; ++b) {
    for (int64_t h = 0; h < x.heads; ++h) {
      if (h == 1) continue;
      heads.push_back({b, h, 1 + (3 * b + 5 * h) % num_tiles});
    }
  }
  return heads;
}

TEST_F(SelectVsa, RaggedGridTextAndSamples) {
  const TokenLayout layout = make_token_layout(TileGrid({5, 9, 10}, {4, 4, 4}), 3, 70);
  const DeviceInputs inputs(random_qkv(2, 3, 523, 40, 7), Dtype::kF32, Order::kHeadMajor);
  const auto heads = some_heads(inputs.host(), layout.num_tiles());
  const BlockLists expected = host_lists(inputs.host(), layout, heads, Impl::kReference);
  for_each_schedule([&] {
    expect_lists(select_vsa_on_device(inputs.call(layout), heads), expected, inputs.host());
  });
}

TEST_F(SelectVsa, EveryTypeAndStride) {
  const TokenLayout layout = make_token_layout(TileGrid({3, 6, 7}, {2, 3, 3}), 0, 0);
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    for (const int64_t head_dim : {int64_t{64}, int64_t{128}, int64_t{20}}) {
      const DeviceInputs inputs(random_qkv(1, 2, 126, head_dim, 3), dtype, Order::kTokenMajor);
      const auto heads = some_heads(inputs.host(), layout.num_tiles());
      expect_lists(select_vsa_on_device(inputs.call(layout), heads),
                   host_lists(inputs.host(), layout, heads, Impl::kReference), inputs.host());
    }
  }
}

TEST_F(SelectVsa, TiesGoToTheLowerTile) {
  const TokenLayout layout = make_token_layout(TileGrid({4, 16, 18}, {2, 2, 2}), 0, 0);
  ASSERT_GT(layout.num_tiles(), 4 * 32);
  const DeviceInputs inputs(coarse_qkv(1, 3, 1152, 8, 5), Dtype::kBF16, Order::kHeadMajor);
  for (const int64_t top_k : {int64_t{1}, int64_t{17}, int64_t{100}, layout.num_tiles()}) {
    const std::vector<VsaHead> heads{{0, 0, top_k}, {0, 2, top_k}};
    expect_lists(select_vsa_on_device(inputs.call(layout), heads),
                 host_lists(inputs.host(), layout, heads, Impl::kReference), inputs.host());
  }
}

// Tiles of more than 64 rows: sums of several runs, and several items a tile.
TEST_F(SelectVsa, LargeTiles) {
  const TokenLayout layout = make_token_layout(TileGrid({5, 9, 17}, {4, 4, 8}), 1, 0);
  const DeviceInputs inputs(random_qkv(1, 2, 766, 64, 11), Dtype::kBF16, Order::kHeadMajor);
  const std::vector<VsaHead> heads{{0, 0, 2}, {0, 1, 9}};
  expect_lists(select_vsa_on_device(inputs.call(layout), heads),
               host_lists(inputs.host(), layout, heads, Impl::kReference), inputs.host());
}

TEST_F(SelectVsa, ScoresThatAreHeldAtOnceChangeNothing) {
  const TokenLayout layout = make_token_layout(TileGrid({5, 9, 10}, {4, 4, 4}), 0, 0);
  const DeviceInputs inputs(random_qkv(1, 5, 450, 32, 2), Dtype::kBF16, Order::kHeadMajor);
  const auto heads = some_heads(inputs.host(), layout.num_tiles());
  DeviceSelectorCall call = inputs.call(layout);
  const BlockLists all = select_vsa_on_device(call, heads).to_host();
  call.score_bytes = 2 * layout.num_tiles() * 20 * static_cast<int64_t>(sizeof(float));
  expect_lists(select_vsa_on_device(call, heads), all, inputs.host());
}

TEST_F(SelectVsa, TellsWhatItCannotDo) {
  const TokenLayout layout = make_token_layout(TileGrid({1, 4, 4}, {1, 2, 2}), 0, 0);
  const DeviceInputs inputs(random_qkv(1, 1, 16, 8, 2), Dtype::kF32, Order::kHeadMajor);
  const std::vector<VsaHead> heads{{0, 0, 5}};
  EXPECT_THAT(
      error_of(ErrorKind::kUsage, [&] { select_vsa_on_device(inputs.call(layout), heads); }),
      ::testing::HasSubstr("top_k expected in 1..4"));
  const TokenLayout fine = make_token_layout(TileGrid({1, 51, 51}, {1, 1, 1}), 0, 0);
  EXPECT_THAT(error_of(ErrorKind::kUnsupported, [&] { inputs.call(fine); }),
              ::testing::HasSubstr("at most 2560 tiles"));
}

}  // namespace
}  // namespace sparsescope::testing
