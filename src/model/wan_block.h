// One transformer block of Wan: modulated self-attention (through the hook), cross-attention to
// text and image, modulated feed-forward. The residual stream stays in F32; linear layers run in
// the compute type.
#pragma once

#include <ATen/ATen.h>

#include "model/attention_hook.h"
#include "model/wan_config.h"
#include "model/wan_embeddings.h"
#include "model/weight_map.h"

namespace sparsescope {

// What all blocks of one forward pass share.
struct WanPass {
  const WanConfig* config = nullptr;
  TokenGrid grid;
  TimeEmbedding time;
  at::Tensor text;   // [B, L, C] compute type
  at::Tensor image;  // [B, R, C] compute type; undefined without an image branch
  at::Tensor rope;   // [S, 1, D/2] complex64
  AttentionHook* hook = nullptr;
};

// What a block's attention call leaves for the way back. While gradients are enabled q, k and v
// lead back to the block's input, and the block's output leads back to out, a leaf.
struct AttentionTape {
  AttentionCall call;  // views of the tensors below
  at::Tensor q, k, v;  // [B, S, H, D] compute type
  at::Tensor out;      // [B, S, H, D] F32
};

// x [B, S, C] F32 -> the same after the block; fills tape unless it is null
at::Tensor run_wan_block(const at::Tensor& x, const WeightMap& weights, const WanPass& pass,
                         const SiteKey& site, AttentionTape* tape = nullptr);

}  // namespace sparsescope
