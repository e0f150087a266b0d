// Rows of pruned queries and their gradients on the device against the host's functions.
#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"
#include "cuda/device_fixture.h"
#include "cuda/select_case.h"
#include "sparse/bsa_restore.h"

namespace sparsescope::testing {
namespace {

using SelectRestore = CudaTest;

constexpr int64_t kBatch = 2, kHeads = 2, kTokens = 149, kPrefix = 2;

std::vector<float> random_rows(int64_t head_dim, uint64_t seed) {
  std::vector<float> rows(kBatch * kHeads * kTokens * head_dim);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(normal(seed, i));
  return rows;
}

MutableAttentionTensor on_device(MutableAttentionTensor tensor, float* data) {
  tensor.data = data;
  tensor.space = MemorySpace::kDevice;
  return tensor;
}

TEST_F(SelectRestore, RowsAndGradients) {
  const TokenLayout layout = make_token_layout(TileGrid({3, 6, 8}, {2, 4, 4}), kPrefix, 3);
  for (const int64_t head_dim : {int64_t{64}, int64_t{6}}) {
    const DeviceInputs inputs(random_qkv(kBatch, kHeads, kTokens, head_dim, 9), Dtype::kBF16,
                              Order::kHeadMajor);
    for (const BsaRestore restore : {BsaRestore::kSimilar, BsaRestore::kZero}) {
      const std::vector<BsaHead> heads{{0, 1, {.restore = restore}}, {1, 0, {.restore = restore}}};
      const DeviceSelection selection = select_bsa_on_device(inputs.call(layout), heads);
      const std::vector<int32_t> sources = selection.to_host().restore_from;
      std::vector<float> out = random_rows(head_dim, 1), d_out = random_rows(head_dim, 2);
      cuda::DeviceArray<float> device_out(out), device_d_out(d_out), device_kept(out);
      const MutableAttentionTensor host = contiguous_output(out.data(), kHeads, kTokens, head_dim);

      cuda::restore_rows(selection.restore_map(), on_device(host, device_out.data()), head_dim);
      AttentionTensor gradient = contiguous_attention_tensor(device_d_out.data(), Dtype::kF32,
                                                             kBatch, kHeads, kTokens, head_dim);
      cuda::gather_gradients(selection.restore_map(), gradient,
                             on_device(host, device_kept.data()));

      std::vector<float> kept = out;
      gradient.data = d_out.data();
      for (size_t i = 0; i < heads.size(); ++i) {
        const auto of_head =
            std::span(sources).subspan(i * layout.video_tokens(), layout.video_tokens());
        restore_pruned_rows(of_head, kPrefix, heads[i].batch, heads[i].head, head_dim, host);
        gather_restored_gradients(of_head, kPrefix, heads[i].batch, heads[i].head, gradient,
                                  contiguous_output(kept.data(), kHeads, kTokens, head_dim));
      }
      EXPECT_EQ(device_out.to_host(), out);
      EXPECT_EQ(device_kept.to_host(), kept);
    }
  }
}

TEST_F(SelectRestore, LseOfTheChosenHeadsIsNoNumber) {
  const DevicePlanes planes({1, 2});
  cuda::DeviceArray<float> lse(std::vector<float>(4 * 300, 1.0f));
  cuda::fill_lse(planes.view(), 300, lse.data());
  const std::vector<float> filled = lse.to_host();
  for (size_t i = 0; i < filled.size(); ++i) {
    EXPECT_EQ(std::isnan(filled[i]), i >= 300 && i < 900) << i;
  }
}

}  // namespace
}  // namespace sparsescope::testing
