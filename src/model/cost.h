// What one forward pass of a Wan-like transformer costs, from its shape alone: tokens,
// floating-point operations (a multiply-add counts as two) and bytes (16-bit weights and
// activations). Batch 1, one guidance branch, all L layers; S tokens, C = H D, R text rows,
// I image rows. In parts:
//
//   attention         2 L S^2 C + 2 L S^2 C              Q K^T and P V of self-attention
//   self projections  L 2S 4C^2                          q, k, v, out
//   cross-attention   L (2S 2C^2 + 2R 2C^2 + 4 S R C)    q, out; k, v of the text; its attention
//                     + L (2I 2C^2 + 4 S I C)            the same for an image, where there is one
//   feed-forward      L 4 S C ffn
//
// Norms, rotary embedding, softmax and modulation grow with S C alone, or are not matrix products,
// and are left out, as in the published tables that docs/costs.md compares with.
#pragma once

#include <cstdint>

#include "core/token_grid.h"

namespace sparsescope {

struct ModelInfo;

// Text rows of the published Wan checkpoints; prompts are padded to them.
inline constexpr int64_t kWanTextRows = 512;
inline constexpr double kCostElementBytes = 2;  // bf16 or fp16

struct TransformerShape {
  int64_t layers = 0;    // L
  int64_t heads = 0;     // H
  int64_t head_dim = 0;  // D
  int64_t ffn_dim = 0;
  int64_t text_rows = kWanTextRows;  // R
  int64_t image_rows = 0;            // I, of an image branch in cross-attention
  // Of the embeddings; 0: not counted.
  int64_t patch_inputs = 0;   // channels x patch volume, into a token
  int64_t patch_outputs = 0;  // the same, out of it
  int64_t text_dim = 0;
  bool vsa_gate = false;  // a linear C -> C beside q, k, v gates VSA's coarse branch

  int64_t width() const { return heads * head_dim; }  // C
};

struct ForwardCost {
  int64_t tokens = 0;          // S
  double attention_flops = 0;  // of all layers: half Q K^T, half P V
  double self_projection_flops = 0;
  double cross_attention_flops = 0;
  double feed_forward_flops = 0;
  double rest_flops = 0;       // the three above
  double attention_share = 0;  // attention over attention and rest
  // Patch embedding, output head and text embedding: 2 S C (in + out) + 2 R C (text_dim + C).
  // Outside the layers and in no total, as in published tables: under 0.01 % of Wan 2.1 1.3B.
  double embedding_flops = 0;
  int64_t qkv_bytes = 0;            // q, k and v of one layer
  int64_t attention_map_bytes = 0;  // S x S of one head
  int64_t weight_bytes = 0;         // the linear layers of all layers: each is read once

  double total_flops() const { return attention_flops + rest_flops; }
  // What no sparsity beats, if attention cost nothing (Amdahl).
  double speedup_limit() const { return total_flops() / rest_flops; }
};

// text_rows: what prompts of this checkpoint are padded to.
TransformerShape transformer_shape(const ModelInfo& info, int64_t text_rows);
ForwardCost forward_cost(const TransformerShape& shape, const TokenGrid& grid);

}  // namespace sparsescope
