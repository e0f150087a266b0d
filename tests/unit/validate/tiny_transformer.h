// A transformer small enough to follow: each token is a latent position; q, k and v are fixed
// random mixtures of its channels, and the heads' outputs are mixed back into the sample.
#pragma once

#include <vector>

#include "core/rng.h"
#include "model/video_transformer.h"

namespace sparsescope::testing {

class TinyTransformer : public VideoTransformer {
 public:
  TinyTransformer() {
    info_.family = "wan";
    info_.variant = "text-to-video";
    info_.layers = 2;
    info_.heads = 2;
    info_.head_dim = 8;
    info_.in_channels = info_.out_channels = 4;
    info_.patch_t = info_.patch_h = info_.patch_w = 1;
    info_.checkpoint_hash = "tiny";
  }

  const ModelInfo& info() const override { return info_; }

  TokenGrid token_grid(const std::vector<int64_t>& shape) const override {
    return {shape[2], shape[3], shape[4]};
  }

  HostTensor forward(const ModelInputs& inputs, const SiteKey& site, AttentionHook& hook) override {
    ++forwards;
    HostTensor x = inputs.at("hidden_states");
    const int64_t tokens = token_grid(x.shape).tokens();
    for (int64_t layer = 0; layer < info_.layers; ++layer) {
      const auto q = project(x, tokens, 4 * layer, 1.5);
      const auto k = project(x, tokens, 4 * layer + 1, 1.5);
      const auto v = project(x, tokens, 4 * layer + 2, 1.0);
      std::vector<float> out(q.size());
      const auto view = [&](const std::vector<float>& values) {
        return contiguous_attention_tensor(values.data(), Dtype::kF32, 1, info_.heads, tokens,
                                           info_.head_dim);
      };
      AttentionCall call{.site = site, .grid = token_grid(x.shape), .scale = 0.35355339f};
      call.site.layer = layer;
      call.q = view(q);
      call.k = view(k);
      call.v = view(v);
      call.out = contiguous_output(out.data(), info_.heads, tokens, info_.head_dim);
      hook.attend(call);
      mix_back(x, out, tokens, 4 * layer + 3);
    }
    return x;
  }

  int64_t forwards = 0;

 private:
  static float weight(int64_t matrix, int64_t index) {
    return static_cast<float>(
        normal(static_cast<uint64_t>(1000 + matrix), static_cast<uint64_t>(index)));
  }

  // [1, C, S] -> [H, S, D]
  std::vector<float> project(const HostTensor& x, int64_t tokens, int64_t matrix,
                             double gain) const {
    const int64_t width = info_.heads * info_.head_dim;
    std::vector<float> result(static_cast<size_t>(width * tokens));
    for (int64_t i = 0; i < width; ++i) {
      for (int64_t s = 0; s < tokens; ++s) {
        double sum = 0;
        for (int64_t c = 0; c < 4; ++c) {
          sum += weight(matrix, i * 4 + c) * x.values[static_cast<size_t>(c * tokens + s)];
        }
        const int64_t at = (i / info_.head_dim * tokens + s) * info_.head_dim + i % info_.head_dim;
        result[static_cast<size_t>(at)] = static_cast<float>(gain * sum);
      }
    }
    return result;
  }

  void mix_back(HostTensor& x, const std::vector<float>& out, int64_t tokens,
                int64_t matrix) const {
    const int64_t width = info_.heads * info_.head_dim;
    for (int64_t c = 0; c < 4; ++c) {
      for (int64_t s = 0; s < tokens; ++s) {
        double sum = 0;
        for (int64_t i = 0; i < width; ++i) {
          const int64_t at =
              (i / info_.head_dim * tokens + s) * info_.head_dim + i % info_.head_dim;
          sum += weight(matrix, c * width + i) * out[static_cast<size_t>(at)];
        }
        x.values[static_cast<size_t>(c * tokens + s)] += static_cast<float>(0.1 * sum);
      }
    }
  }

  ModelInfo info_;
};

}  // namespace sparsescope::testing
