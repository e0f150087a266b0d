// A transformer without weights: q, k, v of each layer are cheap functions of the latent, the
// timestep and the text, and the output is linear in what attention returned. Enough to tell one
// trajectory from another, and to know the gradients at every call.
#pragma once

#include <cmath>

#include "core/error.h"
#include "core/tensor_view.h"
#include "model/differentiable_hook.h"
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
    HostTensor output = inputs.at("hidden_states");  // [1, C, F, H, W]
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      Layer attention(inputs, site, layer);
      hook.attend(attention.call);
      for (size_t i = 0; i < output.values.size(); ++i) {
        output.values[i] =
            0.5f * output.values[i] + 0.25f * attention.out[i % attention.out.size()];
      }
    }
    return output;
  }

  HostTensor pull_back(const ModelInputs& inputs, const SiteKey& site, AttentionHook& forward_hook,
                       DifferentiableHook& backward, const Directions& directions) override {
    HostTensor output = forward(inputs, site, forward_hook);
    const std::vector<HostTensor> chosen = directions(output);
    float weight = 0.25f;
    for (int64_t layer = kLayers - 1; layer >= 0; --layer, weight *= 0.5f) {
      Layer attention(inputs, site, layer);
      backward.attend(attention.call);
      const auto count = attention.out.size();
      std::vector<float> unread[3];  // no layer's inputs depend on another layer
      for (std::vector<float>& gradient : unread) gradient.resize(count);
      for (size_t direction = 0; direction < chosen.size(); ++direction) {
        std::vector<float> d_out(count);
        for (size_t i = 0; i < output.values.size(); ++i) {
          d_out[i % count] += weight * chosen[direction].values[i];
        }
        backward.attend_backward(attention.call, static_cast<int64_t>(direction),
                                 attention.view(d_out), attention.output(unread[0]),
                                 attention.output(unread[1]), attention.output(unread[2]));
      }
    }
    return output;
  }

  int64_t calls = 0;

 private:
  // One attention call with its tensors.
  struct Layer {
    Layer(const ModelInputs& inputs, const SiteKey& site, int64_t layer) {
      const HostTensor& latents = inputs.at("hidden_states");
      const float text = inputs.at("encoder_hidden_states").values.front();
      const float t = inputs.at("timestep").values.front() / 1000.0f;
      call.site = site;
      call.site.layer = layer;
      call.grid = {latents.shape[2], latents.shape[3], latents.shape[4]};
      call.scale = 1.0f / std::sqrt(static_cast<float>(kHeadDim));
      const auto count = static_cast<size_t>(kHeads * call.grid.tokens() * kHeadDim);
      for (int i = 0; i < 3; ++i) {
        for (size_t j = 0; j < count; ++j) {
          const float x = latents.values[(j * 7 + static_cast<size_t>(i)) % latents.values.size()];
          qkv[i].push_back(2.0f * std::sin(3.0f * x + text + t + static_cast<float>(layer + i)));
        }
      }
      out.resize(count);
      call.q = view(qkv[0]);
      call.k = view(qkv[1]);
      call.v = view(qkv[2]);
      call.out = output(out);
    }
    Layer(const Layer&) = delete;

    AttentionTensor view(const std::vector<float>& x) const {
      return contiguous_attention_tensor(x.data(), Dtype::kF32, 1, kHeads, call.grid.tokens(),
                                         kHeadDim);
    }
    MutableAttentionTensor output(std::vector<float>& x) const {
      return contiguous_output(x.data(), kHeads, call.grid.tokens(), kHeadDim);
    }

    AttentionCall call;
    std::vector<float> qkv[3], out;
  };

  ModelInfo info_;
};

}  // namespace sparsescope::testing
