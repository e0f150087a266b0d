// A transformer without weights: q, k, v of each layer are cheap functions of the latent, the
// timestep and the text, and the output depends on what attention returned. Enough to tell one
// trajectory from another.
#pragma once

#include <cmath>

#include "core/error.h"
#include "core/tensor_view.h"
#include "model/video_transformer.h"

namespace sparsescope::testing {

class FakeTransformer : public VideoTransformer {
 public:
  static constexpr int64_t kLayers = 2, kHeads = 2, kHeadDim = 4, kChannels = 4;

  FakeTransformer() {
    info_.family = "wan";
    info_.class_name = "WanTransformer3DModel";
    info_.variant = "text-to-video";
    info_.layers = kLayers;
    info_.heads = kHeads;
    info_.head_dim = kHeadDim;
    info_.patch_h = info_.patch_w = 1;
    info_.in_channels = info_.out_channels = kChannels;
    info_.checkpoint_hash = "0123";
    info_.layer_names = {"blocks.0.attn1", "blocks.1.attn1"};
  }

  const ModelInfo& info() const override { return info_; }
  TokenGrid token_grid(const std::vector<int64_t>& shape) const override {
    return {shape[2], shape[3], shape[4]};
  }

  HostTensor forward(const ModelInputs& inputs, const SiteKey& site, AttentionHook& hook) override {
    ++calls;
    const HostTensor& latents = inputs.at("hidden_states");  // [1, C, F, H, W]
    const float text = inputs.at("encoder_hidden_states").values.front();
    const float t = inputs.at("timestep").values.front() / 1000.0f;
    const TokenGrid grid = token_grid(latents.shape);
    HostTensor output = latents;
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      const std::vector<float> out = attend(latents, text + t, grid, site, layer, hook);
      for (size_t i = 0; i < output.values.size(); ++i) {
        output.values[i] = 0.5f * output.values[i] + 0.25f * out[i % out.size()];
      }
    }
    return output;
  }

  int64_t calls = 0;

 private:
  std::vector<float> attend(const HostTensor& latents, float offset, const TokenGrid& grid,
                            const SiteKey& site, int64_t layer, AttentionHook& hook) const {
    const int64_t tokens = grid.tokens();
    const auto count = static_cast<size_t>(kHeads * tokens * kHeadDim);
    std::vector<float> qkv[3];
    for (int i = 0; i < 3; ++i) {
      for (size_t j = 0; j < count; ++j) {
        const float x = latents.values[(j * 7 + static_cast<size_t>(i)) % latents.values.size()];
        qkv[i].push_back(2.0f * std::sin(3.0f * x + offset + static_cast<float>(layer + i)));
      }
    }
    std::vector<float> out(count);
    AttentionCall call;
    call.site = site;
    call.site.layer = layer;
    call.grid = grid;
    call.scale = 1.0f / std::sqrt(static_cast<float>(kHeadDim));
    const auto view = [&](int i) {
      return contiguous_attention_tensor(qkv[i].data(), Dtype::kF32, 1, kHeads, tokens, kHeadDim);
    };
    call.q = view(0);
    call.k = view(1);
    call.v = view(2);
    call.out = contiguous_output(out.data(), kHeads, tokens, kHeadDim);
    hook.attend(call);
    return out;
  }

  ModelInfo info_;
};

}  // namespace sparsescope::testing
