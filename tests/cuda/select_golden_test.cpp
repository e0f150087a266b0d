// The golden cases of the sparse methods whose rules the device has: what it selects from their
// inputs is what public implementations select.
#include <gtest/gtest.h>

#include <algorithm>

#include "apps/attend_options.h"
#include "cuda/device_fixture.h"
#include "cuda/select_case.h"
#include "sparse/attend_files.h"
#include "support/golden_methods.h"

namespace sparsescope::testing {
namespace {

AttendArguments parse_arguments(const GoldenMethod& golden) {
  CLI::App command;
  AttendArguments arguments;
  std::string dtype;
  add_attend_options(command, arguments);
  command.add_option("--dtype", dtype);
  std::vector<std::string> args = golden.args;
  args.insert(args.end(), {"--inputs", golden.inputs.string(), "--out", "unused"});
  std::reverse(args.begin(), args.end());  // as CLI11 wants a vector
  command.parse(args);
  return arguments;
}

Qkv inputs_of(const AttendFile& file) {
  const AttentionTensor& q = file.inputs.q;
  Qkv x{.batch = q.batch, .heads = q.heads, .tokens = q.tokens, .head_dim = q.head_dim};
  const auto values = [&](const AttentionTensor& tensor) {
    const auto* data = static_cast<const float*>(tensor.data);
    return std::vector<float>(data, data + x.batch * x.heads * x.tokens * x.head_dim);
  };
  x.q = values(file.inputs.q);
  x.k = values(file.inputs.k);
  return x;
}

template <typename Head, typename Setting>
std::vector<Head> all_heads(const Qkv& x, const Setting& setting) {
  std::vector<Head> heads;
  for (int64_t b = 0; b < x.batch; ++b) {
    for (int64_t h = 0; h < x.heads; ++h) heads.push_back({b, h, setting});
  }
  return heads;
}

// The selection of the request's method and the layout that it is for.
struct Selected {
  TokenLayout layout;
  DeviceSelection selection;
};
Selected select(const AttendRequest& request, const DeviceInputs& inputs) {
  const Qkv& x = inputs.host();
  const auto layout_of = [&](const TileGrid& tiles) {
    return make_token_layout(tiles, request.prefix, request.suffix);
  };
  if (const auto* vsa = std::get_if<VsaSettings>(&request.method)) {
    const TokenLayout layout = layout_of(TileGrid(request.grid, vsa->block));
    return {layout, select_vsa_on_device(inputs.call(layout), all_heads<VsaHead>(x, vsa->top_k))};
  }
  if (const auto* bsa = std::get_if<BsaSettings>(&request.method)) {
    const TokenLayout layout = layout_of(TileGrid(request.grid, bsa->block));
    return {layout, select_bsa_on_device(inputs.call(layout), all_heads<BsaHead>(x, bsa->options))};
  }
  const auto& vmoba = std::get<VmobaOptions>(request.method);
  const TokenLayout layout = layout_of(partition_blocks(vmoba.params.partition, request.grid));
  std::vector<int64_t> heads;
  for (int64_t h = 0; h < x.heads; ++h) heads.push_back(h);
  return {layout, select_vmoba_on_device(inputs.call(layout), heads, vmoba)};
}

class SelectGolden : public CudaTest, public ::testing::WithParamInterface<std::string> {};

// Rows of a golden mask are tiles, or VMoBA's queries in raster order.
TEST_P(SelectGolden, Masks) {
  const GoldenMethod golden = golden_method(GetParam());
  const AttendArguments arguments = parse_arguments(golden);
  const AttendFile file = read_attend_file(arguments.inputs, Dtype::kF32);
  const AttendRequest request = attend_request(arguments);
  const DeviceInputs inputs(inputs_of(file), Dtype::kF32, Order::kHeadMajor);
  const Selected selected = select(request, inputs);
  const TokenLayout& layout = selected.layout;
  const RangesOfRow ranges = ranges_of_rows(selected.selection.to_host());
  const GoldenArray& mask = golden.expected.at("mask");
  const int64_t rows = mask.shape[2], blocks = mask.shape[3];
  const std::vector<int32_t> tile_of = blocks_of_positions(layout);
  for (const auto& [key, of_row] : ranges) {
    const auto& [b, h, token] = key;
    const auto at = std::find(layout.order.begin(), layout.order.end(), token);
    const auto position = at - layout.order.begin();
    if (position >= layout.video_tokens()) continue;
    const int64_t row = rows == layout.num_tiles() ? tile_of[position] : token - layout.prefix;
    for (int64_t c = 0; c < blocks; ++c) {
      const bool found = std::find(of_row.begin(), of_row.end(), c) != of_row.end();
      const double expected = mask.values[(((b * mask.shape[1]) + h) * rows + row) * blocks + c];
      ASSERT_EQ(found ? 1.0 : 0.0, expected) << "token " << token << ", block " << c;
    }
  }
  const auto kept = golden.expected.find("kept");
  if (kept == golden.expected.end()) return;
  for (int64_t i = 0; i < std::ssize(kept->second.values); ++i) {
    const auto video = layout.video_tokens();
    const auto plane = static_cast<int32_t>(i / video);
    const auto token = static_cast<int32_t>(layout.prefix + i % video);
    const auto heads = static_cast<int32_t>(inputs.host().heads);
    EXPECT_EQ(ranges.count({plane / heads, plane % heads, token}), kept->second.values[i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, SelectGolden,
                         ::testing::Values("bsa_default_even", "bsa_default_ragged",
                                           "vmoba_s_tau_query", "vmoba_st_tau_head", "vmoba_t_topk",
                                           "vsa_ragged_gate", "vsa_s085_block222"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace sparsescope::testing
