// What enters Wan's blocks besides the attention inputs: embedded patches, timesteps, text and
// image. C channels, n distinct timesteps, S tokens.
#pragma once

#include <ATen/ATen.h>

#include "core/token_grid.h"
#include "model/wan_config.h"
#include "model/weight_map.h"

namespace sparsescope {

// Timesteps are embedded once per distinct value; token_index says which value a token has.
struct TimeEmbedding {
  at::Tensor e;            // [n, C] F32, for the head
  at::Tensor e6;           // [n, 6, C] F32, for the blocks
  at::Tensor token_index;  // [B, 1] or [B, S] int64 into n
};

// (1 + scale, shift, gate ...): row of a modulation table for every token.
// table [n, R, C] -> [1 or B, 1 or S, C]
at::Tensor token_rows(const at::Tensor& table, int64_t row, const at::Tensor& token_index);

// x [B, Cin, F, Hl, Wl] F32 -> [B, S, C] F32
at::Tensor embed_patches(const at::Tensor& x, const TokenGrid& grid, const WanConfig& config,
                         const WeightMap& weights);

// The vector [cos, sin] of freq_dim entries for every value; all in F32. t [n] -> [n, freq_dim]
at::Tensor timestep_sinusoid(const at::Tensor& t, int64_t freq_dim);

// t [B] or [B, S] F32
TimeEmbedding embed_time(const at::Tensor& t, const WanConfig& config, const WeightMap& weights);

// text [B, L, text_dim] F32 -> [B, L, C] in the compute type
at::Tensor embed_text(const at::Tensor& text, const WeightMap& weights);

// image [B, R, image_dim] F32, or [2B, R, image_dim] with pos_embed of 2R rows -> [B, R', C]
at::Tensor embed_image(const at::Tensor& image, const WanConfig& config, const WeightMap& weights);

// x [B, S, C] -> velocity [B, Cout, F, Hl, Wl] F32
at::Tensor project_out(const at::Tensor& x, const TokenGrid& grid, const TimeEmbedding& time,
                       const WanConfig& config, const WeightMap& weights);

}  // namespace sparsescope
