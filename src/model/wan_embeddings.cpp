#include "model/wan_embeddings.h"

#include <cmath>

namespace sparsescope {
namespace {

constexpr double kMaxPeriod = 10000.0;
constexpr double kImageEps = 1e-5;  // torch's default, which Wan's image branch uses

}  // namespace

at::Tensor token_rows(const at::Tensor& table, int64_t row, const at::Tensor& token_index) {
  const at::Tensor rows = table.select(1, row);     // [n, C]
  if (rows.size(0) == 1) return rows.unsqueeze(0);  // [1, 1, C]
  return rows.index_select(0, token_index.flatten())
      .view({token_index.size(0), token_index.size(1), rows.size(1)});  // [B, 1 or S, C]
}

at::Tensor embed_patches(const at::Tensor& x, const TokenGrid& grid, const WanConfig& config,
                         const WeightMap& weights) {
  const int64_t B = x.size(0), Cin = x.size(1);
  const int64_t pt = config.patch_t, ph = config.patch_h, pw = config.patch_w;
  const at::Tensor patches =
      x.view({B, Cin, grid.t, pt, grid.h, ph, grid.w, pw})
          .permute({0, 2, 4, 6, 1, 3, 5, 7})  // [B, T, Hg, Wg, Cin, pt, ph, pw]
          .reshape({B, grid.tokens(), Cin * config.patch_volume()});  // [B, S, Cin*pt*ph*pw]
  const at::Tensor& kernel = weights.at("patch_embedding.weight");    // [C, Cin, pt, ph, pw]
  return at::linear(patches.to(kernel.scalar_type()), kernel.flatten(1),
                    weights.at("patch_embedding.bias"))
      .to(at::kFloat);  // [B, S, C]
}

at::Tensor timestep_sinusoid(const at::Tensor& t, int64_t freq_dim) {
  const int64_t half = freq_dim / 2;
  const at::Tensor exponent = at::arange(half, t.options().dtype(at::kFloat))
                                  .mul(-std::log(kMaxPeriod))
                                  .div(static_cast<double>(half));
  const at::Tensor angles = t.unsqueeze(1) * exponent.exp().unsqueeze(0);  // [n, freq_dim / 2]
  return at::cat({angles.cos(), angles.sin()}, 1);                         // [n, freq_dim]
}

TimeEmbedding embed_time(const at::Tensor& t, const WanConfig& config, const WeightMap& weights) {
  const std::string embedder = "condition_embedder.time_embedder.";
  const auto [values, index] = at::_unique(t.flatten(), /*sorted=*/true, /*return_inverse=*/true);
  const at::Tensor sinusoid = timestep_sinusoid(values, config.freq_dim);  // [n, freq_dim]
  const at::Tensor hidden = at::silu(weights.linear(sinusoid, embedder + "linear_1"));  // [n, C]
  const at::Tensor e = weights.linear(hidden, embedder + "linear_2");                   // [n, C]
  const at::Tensor e6 = weights.linear(at::silu(e), "condition_embedder.time_proj")
                            .view({values.size(0), 6, config.channels});  // [n, 6, C]
  const int64_t B = t.size(0);
  return {e, e6, index.view({B, t.dim() == 2 ? t.size(1) : 1})};
}

at::Tensor embed_text(const at::Tensor& text, const WeightMap& weights) {
  const std::string embedder = "condition_embedder.text_embedder.";
  const at::Tensor hidden = at::gelu(weights.linear(text, embedder + "linear_1"), "tanh");
  return weights.linear(hidden, embedder + "linear_2");  // [B, L, C]
}

at::Tensor embed_image(const at::Tensor& image, const WanConfig& config, const WeightMap& weights) {
  const std::string embedder = "condition_embedder.image_embedder.";
  const auto norm = [&](const at::Tensor& x, const std::string& name) {
    return at::layer_norm(x.to(at::kFloat), {x.size(-1)}, weights.at(embedder + name + ".weight"),
                          weights.at(embedder + name + ".bias"), kImageEps);
  };
  at::Tensor x = image;  // [B or 2B, R, image_dim]
  if (config.pos_embed_rows > 0) {
    x = x.view({-1, config.pos_embed_rows, config.image_dim}) +
        weights.at(embedder + "pos_embed");  // [B, 2R, image_dim]
  }
  x = weights.linear(norm(x, "norm1"), embedder + "ff.net.0.proj");  // [B, R', image_dim]
  x = weights.linear(at::gelu(x), embedder + "ff.net.2");            // [B, R', C]
  const at::ScalarType compute = x.scalar_type();
  return norm(x, "norm2").to(compute);
}

at::Tensor project_out(const at::Tensor& x, const TokenGrid& grid, const TimeEmbedding& time,
                       const WanConfig& config, const WeightMap& weights) {
  const int64_t B = x.size(0);
  const at::Tensor table =
      weights.at("scale_shift_table") + time.e.unsqueeze(1);  // [n, 2, C]: shift, scale
  const at::Tensor shift = token_rows(table, 0, time.token_index);
  const at::Tensor scale = token_rows(table, 1, time.token_index);
  const at::Tensor n = at::layer_norm(x, {config.channels}, {}, {}, config.eps);  // [B, S, C]
  return weights
      .linear(n * (1 + scale) + shift, "proj_out")  // [B, S, pt*ph*pw*Cout]
      .to(at::kFloat)
      .view({B, grid.t, grid.h, grid.w, config.patch_t, config.patch_h, config.patch_w,
             config.out_channels})
      .permute({0, 7, 1, 4, 2, 5, 3, 6})  // [B, Cout, T, pt, Hg, ph, Wg, pw]
      .reshape({B, config.out_channels, grid.t * config.patch_t, grid.h * config.patch_h,
                grid.w * config.patch_w});  // [B, Cout, F, Hl, Wl]
}

}  // namespace sparsescope
