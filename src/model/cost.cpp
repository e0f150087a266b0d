#include "model/cost.h"

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr double kMostTokens = 2147483647.0;  // token indices are 32-bit

}  // namespace

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
  const auto C = static_cast<double>(shape.heads * shape.head_dim);
  const auto R = static_cast<double>(shape.text_rows);
  const auto ffn = static_cast<double>(shape.ffn_dim);

  ForwardCost cost;
  cost.tokens = grid.tokens();
  cost.attention_flops = 4 * L * S * S * C;
  const double self_projections = 2 * S * 4 * C * C;                       // q, k, v, out
  const double cross_projections = 2 * S * 2 * C * C + 2 * R * 2 * C * C;  // q, out; k, v
  const double cross_attention = 4 * S * R * C;
  const double feed_forward = 4 * S * C * ffn;
  cost.rest_flops = L * (self_projections + cross_projections + cross_attention + feed_forward);
  cost.attention_share = cost.attention_flops / (cost.attention_flops + cost.rest_flops);
  cost.qkv_bytes = 3 * cost.tokens * shape.heads * shape.head_dim * 2;
  cost.attention_map_bytes = cost.tokens * cost.tokens * 2;
  return cost;
}

double sparse_attention_flops(const TransformerShape& shape, const TokenGrid& grid, double density,
                              double blocks) {
  const ForwardCost dense = forward_cost(shape, grid);
  const auto rows = static_cast<double>(shape.layers * dense.tokens);
  return dense.attention_flops * density +
         2 * rows * static_cast<double>(shape.heads * shape.head_dim) * blocks;
}

}  // namespace sparsescope
