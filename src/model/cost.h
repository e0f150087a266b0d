// What one forward pass of a Wan-like transformer costs, from its shape alone: tokens,
// floating-point operations (a multiply-add counts as two) and bytes. Batch 1, one guidance branch.
//
//   attention = 4 L S^2 C                          Q K^T and P V of self-attention, C = H D
//   rest      = L (2S 4C^2 + 2S 2C^2 + 2R 2C^2     projections of self- and cross-attention
//                  + 4 S R C + 4 S C ffn)          cross-attention over R text rows; feed-forward
#pragma once

#include <cstdint>

#include "core/token_grid.h"

namespace sparsescope {

// Text rows of the published Wan checkpoints; prompts are padded to them.
inline constexpr int64_t kWanTextRows = 512;

struct TransformerShape {
  int64_t layers = 0;    // L
  int64_t heads = 0;     // H
  int64_t head_dim = 0;  // D
  int64_t ffn_dim = 0;
  int64_t text_rows = kWanTextRows;  // R
};

struct ForwardCost {
  int64_t tokens = 0;          // S
  double attention_flops = 0;  // of all layers
  double rest_flops = 0;
  double attention_share = 0;       // attention over attention and rest
  int64_t qkv_bytes = 0;            // q, k and v of one layer, 2 bytes an element
  int64_t attention_map_bytes = 0;  // S x S of one head, 2 bytes an element
};

ForwardCost forward_cost(const TransformerShape& shape, const TokenGrid& grid);

// In place of attention_flops where a share of the query-key pairs is computed, after each query
// was compared with the means of `blocks` key blocks:  L (4 S^2 C density + 2 S C blocks). Both are
// means over the layers.
double sparse_attention_flops(const TransformerShape& shape, const TokenGrid& grid, double density,
                              double blocks);

}  // namespace sparsescope
