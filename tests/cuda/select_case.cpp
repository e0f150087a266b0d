#include "cuda/select_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "core/rng.h"

namespace sparsescope::testing {
namespace {

float rounded(float value, Dtype dtype) {
  if (dtype == Dtype::kBF16) return bf16_to_float(float_to_bf16(value));
  if (dtype == Dtype::kF16) return f16_to_float(float_to_f16(value));
  return value;
}

// [B, H, S, D] or [B, S, H, D] of the type.
std::vector<uint8_t> stored(const Qkv& x, const std::vector<float>& values, Dtype dtype,
                            Order order) {
  const size_t bytes = dtype == Dtype::kF32 ? 4 : 2;
  std::vector<uint8_t> data(values.size() * bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto d = static_cast<int64_t>(i) % x.head_dim;
    const int64_t row = static_cast<int64_t>(i) / x.head_dim, s = row % x.tokens;
    const int64_t h = row / x.tokens % x.heads, b = row / x.tokens / x.heads;
    const int64_t at = order == Order::kHeadMajor
                           ? static_cast<int64_t>(i)
                           : ((b * x.tokens + s) * x.heads + h) * x.head_dim + d;
    const uint16_t half =
        dtype == Dtype::kBF16 ? float_to_bf16(values[i]) : float_to_f16(values[i]);
    const void* from = dtype == Dtype::kF32 ? static_cast<const void*>(&values[i]) : &half;
    std::memcpy(&data[at * static_cast<int64_t>(bytes)], from, bytes);
  }
  return data;
}

AttentionTensor view(const Qkv& x, const void* data, Dtype dtype, Order order) {
  AttentionTensor tensor =
      contiguous_attention_tensor(data, dtype, x.batch, x.heads, x.tokens, x.head_dim);
  if (order == Order::kTokenMajor) {
    tensor.stride_head = x.head_dim;
    tensor.stride_token = x.heads * x.head_dim;
  }
  tensor.space = MemorySpace::kDevice;
  return tensor;
}

}  // namespace

DeviceInputs::DeviceInputs(Qkv x, Dtype dtype, Order order) : host_(std::move(x)) {
  for (auto* values : {&host_.q, &host_.k}) {
    std::transform(values->begin(), values->end(), values->begin(),
                   [&](float value) { return rounded(value, dtype); });
  }
  q_ = cuda::DeviceArray(stored(host_, host_.q, dtype, order));
  k_ = cuda::DeviceArray(stored(host_, host_.k, dtype, order));
  q_view_ = view(host_, q_.data(), dtype, order);
  k_view_ = view(host_, k_.data(), dtype, order);
}

DeviceSelectorCall DeviceInputs::call(const TokenLayout& layout) const {
  return {.q = q_view_,
          .k = k_view_,
          .scale = 0.125f,
          .layout = std::make_shared<DeviceTokenLayout>(std::make_shared<TokenLayout>(layout))};
}

Qkv coarse_qkv(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim, uint64_t seed) {
  Qkv x{.batch = batch, .heads = heads, .tokens = tokens, .head_dim = head_dim};
  const int64_t count = batch * heads * tokens * head_dim;
  for (int64_t i = 0; i < count; ++i) {
    x.q.push_back(static_cast<float>(std::clamp(std::round(normal(seed, i)), -2.0, 2.0)));
    x.k.push_back(static_cast<float>(std::clamp(std::round(normal(seed + 1, i)), -2.0, 2.0)));
  }
  return x;
}

RangesOfRow ranges_of_rows(const BlockLists& lists) {
  RangesOfRow found;
  for (const SparseStrand& strand : lists.strands) {
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = lists.items[i];
      for (int32_t r = 0; r < item.num_rows; ++r) {
        auto& ranges = found[{strand.batch, strand.head, lists.rows[item.first_row + r]}];
        for (int32_t j = 0; j < item.num_ranges; ++j) {
          ranges.push_back(lists.range_ids[item.first_range + j]);
        }
      }
    }
  }
  for (auto& [row, ranges] : found) {
    std::sort(ranges.begin(), ranges.end());
    EXPECT_EQ(std::adjacent_find(ranges.begin(), ranges.end()), ranges.end())
        << "row " << std::get<2>(row) << " lists a range twice";
  }
  return found;
}

void expect_well_formed(const BlockLists& lists) {
  std::vector<int32_t> position(lists.key_order.size());
  for (size_t i = 0; i < position.size(); ++i) {
    position[lists.key_order[i]] = static_cast<int32_t>(i);
  }
  int64_t cost_before = 0;
  for (size_t s = 0; s < lists.strands.size(); ++s) {
    const SparseStrand& strand = lists.strands[s];
    int64_t cost = 0;
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = lists.items[i];
      ASSERT_GE(item.num_rows, 1);
      ASSERT_LE(item.num_rows, kRowLanes);
      for (int32_t r = 1; r < item.num_rows; ++r) {
        ASSERT_LT(position[lists.rows[item.first_row + r - 1]],
                  position[lists.rows[item.first_row + r]]);
      }
      int64_t keys = 0;
      for (int32_t j = 0; j < item.num_ranges; ++j) {
        const int32_t id = lists.range_ids[item.first_range + j];
        ASSERT_TRUE(j == 0 || lists.range_ids[item.first_range + j - 1] < id);
        keys += lists.ranges[id].count;
      }
      cost += item.num_rows * keys;
    }
    const bool same_head = s > 0 && lists.strands[s - 1].head == strand.head &&
                           lists.strands[s - 1].batch == strand.batch;
    ASSERT_TRUE(!same_head || cost <= cost_before) << "strand " << s;
    cost_before = cost;
  }
}

void expect_lists(const DeviceSelection& found, const BlockLists& expected, const Qkv& x) {
  const BlockLists lists = found.to_host();
  expect_well_formed(lists);
  EXPECT_EQ(ranges_of_rows(lists), ranges_of_rows(expected));
  EXPECT_EQ(lists.key_order, expected.key_order);
  const std::vector<double> density = expected.density(x.batch, x.heads, x.tokens);
  const std::vector<double> of_planes = found.density();
  for (int64_t i = 0; i < found.planes().size(); ++i) {
    EXPECT_EQ(of_planes[i], density[found.planes().heads()[i]]);
  }
  const SparseSelection view = found.view();
  EXPECT_EQ(view.space, MemorySpace::kDevice);
  EXPECT_EQ(view.num_strands, std::ssize(lists.strands));
}

}  // namespace sparsescope::testing
