#include "model/cost.h"

#include "core/error.h"
#include "model/video_transformer.h"

namespace sparsescope {
namespace {

constexpr double kMostTokens = 2147483647.0;  // token indices are 32-bit
constexpr auto kBytes = static_cast<int64_t>(kCostElementBytes);

}  // namespace

TransformerShape transformer_shape(const ModelInfo& info, int64_t text_rows) {
  const int64_t patch = info.patch_t * info.patch_h * info.patch_w;
  return {.layers = info.layers,
          .heads = info.heads,
          .head_dim = info.head_dim,
          .ffn_dim = info.ffn_dim,
          .text_rows = text_rows,
          .image_rows = info.image_rows,
          .patch_inputs = info.in_channels * patch,
          .patch_outputs = info.out_channels * patch,
          .text_dim = info.text_dim,
          .vsa_gate = info.has_gate_compress};
}

ForwardCost forward_cost(const TransformerShape& shape, const TokenGrid& grid) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, grid.t > 0 && grid.h > 0 && grid.w > 0,
                    "grid: expected three positive extents, found {}", to_string(grid));
  // Operations reach 1e16 and more: doubles, exact to 2^53.
  const double S =
      static_cast<double>(grid.t) * static_cast<double>(grid.h) * static_cast<double>(grid.w);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, S <= kMostTokens,
                    "grid: expected at most {} tokens, found {} of them in {}", kMostTokens, S,
                    to_string(grid));
  const auto L = static_cast<double>(shape.layers);
  const auto C = static_cast<double>(shape.width());
  const auto R = static_cast<double>(shape.text_rows);
  const auto I = static_cast<double>(shape.image_rows);
  const auto ffn = static_cast<double>(shape.ffn_dim);

  ForwardCost cost;
  cost.tokens = grid.tokens();
  cost.attention_flops = 4 * L * S * S * C;
  cost.self_projection_flops = L * 2 * S * 4 * C * C;                            // q, k, v, out
  const double cross_projections = 2 * S * 2 * C * C + 2 * (R + I) * 2 * C * C;  // q, out; k, v
  cost.cross_attention_flops = L * (cross_projections + 4 * S * (R + I) * C);
  cost.feed_forward_flops = L * 4 * S * C * ffn;
  cost.rest_flops =
      cost.self_projection_flops + cost.cross_attention_flops + cost.feed_forward_flops;
  cost.attention_share = cost.attention_flops / cost.total_flops();
  const auto values = static_cast<double>(shape.patch_inputs + shape.patch_outputs);
  cost.embedding_flops = 2 * S * C * values;
  if (shape.text_dim > 0) {
    cost.embedding_flops += 2 * R * C * (static_cast<double>(shape.text_dim) + C);
  }

  const int64_t width = shape.width();
  const int64_t image_weights = shape.image_rows > 0 ? 2 * width * width : 0;  // k, v
  cost.qkv_bytes = 3 * cost.tokens * width * kBytes;
  cost.attention_map_bytes = cost.tokens * cost.tokens * kBytes;
  cost.weight_bytes =
      shape.layers * kBytes * (8 * width * width + image_weights + 2 * width * shape.ffn_dim);
  return cost;
}

}  // namespace sparsescope
