#include "model/wan_block.h"

#include <cmath>

#include "model/rope.h"
#include "model/torch_util.h"

namespace sparsescope {
namespace {

class Block {
 public:
  Block(const WeightMap& weights, const WanPass& pass, AttentionTape* tape)
      : weights_(weights), pass_(pass), config_(*pass.config), tape_(tape) {}

  at::Tensor run(at::Tensor x, const SiteKey& site) const {
    // shift, scale, gate of self-attention, then of the feed-forward
    const at::Tensor m = weights_.at("scale_shift_table") + pass_.time.e6;  // [n, 6, C]
    x = x + self_attention(modulate(x, m, 0), site) * row(m, 2);            // [B, S, C]
    x = x + cross_attention(cross_norm(x));                                 // [B, S, C]
    return x + feed_forward(modulate(x, m, 3)) * row(m, 5);                 // [B, S, C]
  }

 private:
  at::Tensor row(const at::Tensor& m, int64_t index) const {
    return token_rows(m, index, pass_.time.token_index);  // [1 or B, 1 or S, C]
  }

  // LN(x) * (1 + scale) + shift; rows first and first + 1 of m.  [B, S, C]
  at::Tensor modulate(const at::Tensor& x, const at::Tensor& m, int64_t first) const {
    const at::Tensor n = at::layer_norm(x, {config_.channels}, {}, {}, config_.eps);
    return n * (1 + row(m, first + 1)) + row(m, first);
  }

  at::Tensor cross_norm(const at::Tensor& x) const {
    if (!config_.cross_attn_norm) return x;
    return at::layer_norm(x, {config_.channels}, weights_.at("norm2.weight"),
                          weights_.at("norm2.bias"), config_.eps);
  }

  // RMS over all C channels before the head split, in F32.  [B, N, C] -> [B, N, H, D] F32
  at::Tensor rms_heads(const at::Tensor& x, const std::string& norm) const {
    return split_heads(at::rms_norm(x.to(at::kFloat), {config_.channels},
                                    weights_.at(norm + ".weight"), config_.eps));
  }

  at::Tensor split_heads(const at::Tensor& x) const {
    return x.view({x.size(0), x.size(1), config_.heads, config_.head_dim});
  }

  // n [B, S, C] -> to_out(attention) [B, S, C] F32
  at::Tensor self_attention(const at::Tensor& n, const SiteKey& site) const {
    const at::Tensor value = weights_.linear(n, "attn1.to_v");
    const at::ScalarType compute = value.scalar_type();
    const at::Tensor v = split_heads(value);  // [B, S, H, D]
    const at::Tensor q = rotated(n, "attn1.to_q", "attn1.norm_q").to(compute);
    const at::Tensor k = rotated(n, "attn1.to_k", "attn1.norm_k").to(compute);
    const at::Tensor out = attend(site, q, k, v);  // [B, S, H, D]
    return weights_.linear(out.flatten(2), "attn1.to_out.0").to(at::kFloat);
  }

  // q, k, v [B, S, H, D] through the hook, where it wants them -> [B, S, H, D] F32
  at::Tensor attend(const SiteKey& site, const at::Tensor& q_here, const at::Tensor& k_here,
                    const at::Tensor& v_here) const {
    const MemorySpace space = pass_.hook->space();
    const at::Tensor q = moved_to(q_here, space), k = moved_to(k_here, space),
                     v = moved_to(v_here, space);
    at::Tensor out = at::empty(v.sizes(), v.options().dtype(at::kFloat));
    const AttentionCall call{
        .site = site,
        .grid = pass_.grid,
        .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_dim))),
        .q = attention_view(q),
        .k = attention_view(k),
        .v = attention_view(v),
        .out = attention_output(out)};
    pass_.hook->attend(call);
    if (tape_ != nullptr) *tape_ = {call, q, k, v, out.requires_grad_()};
    return moved_to(out, space_of(v_here));
  }

  at::Tensor rotated(const at::Tensor& n, const std::string& linear,
                     const std::string& norm) const {
    return apply_rope(rms_heads(weights_.linear(n, linear), norm), pass_.rope);  // [B, S, H, D]
  }

  // n [B, S, C] -> to_out(text + image attention) [B, S, C] F32; two softmaxes, added before to_out
  at::Tensor cross_attention(const at::Tensor& n) const {
    const at::Tensor projected = weights_.linear(n, "attn2.to_q");
    const at::Tensor q = rms_heads(projected, "attn2.norm_q").to(projected.scalar_type());
    at::Tensor out = attend_to(q, pass_.text, "attn2.to_k", "attn2.norm_k", "attn2.to_v");
    if (pass_.image.defined()) {
      out = out +
            attend_to(q, pass_.image, "attn2.add_k_proj", "attn2.norm_added_k", "attn2.add_v_proj");
    }
    return weights_.linear(out, "attn2.to_out.0").to(at::kFloat);
  }

  // q [B, S, H, D], context [B, N, C] -> [B, S, C]
  at::Tensor attend_to(const at::Tensor& q, const at::Tensor& context, const std::string& to_k,
                       const std::string& norm_k, const std::string& to_v) const {
    const at::Tensor k =
        rms_heads(weights_.linear(context, to_k), norm_k).to(q.scalar_type());  // [B, N, H, D]
    const at::Tensor v = split_heads(weights_.linear(context, to_v));           // [B, N, H, D]
    return at::scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2),
                                            v.transpose(1, 2))  // [B, H, S, D]
        .transpose(1, 2)
        .flatten(2);  // [B, S, C]
  }

  at::Tensor feed_forward(const at::Tensor& n) const {
    const at::Tensor hidden =
        at::gelu(weights_.linear(n, "ffn.net.0.proj"), "tanh");  // [B, S, ffn]
    return weights_.linear(hidden, "ffn.net.2").to(at::kFloat);  // [B, S, C]
  }

  const WeightMap& weights_;
  const WanPass& pass_;
  const WanConfig& config_;
  AttentionTape* tape_;  // may be null
};

}  // namespace

at::Tensor run_wan_block(const at::Tensor& x, const WeightMap& weights, const WanPass& pass,
                         const SiteKey& site, AttentionTape* tape) {
  return Block(weights, pass, tape).run(x, site);
}

}  // namespace sparsescope
