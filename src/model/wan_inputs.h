// The named inputs of a Wan forward pass, checked against the architecture.
#pragma once

#include "core/error.h"
#include "model/video_transformer.h"
#include "model/wan_config.h"

namespace sparsescope {

struct WanInputs {
  const HostTensor* hidden_states = nullptr;  // [B, Cin, F, Hl, Wl]
  const HostTensor* timestep = nullptr;       // [B] or [B, S]
  const HostTensor* encoder_hidden_states =
      nullptr;  // [B, L, text_dim]; 512 rows with an image branch
  const HostTensor* encoder_hidden_states_image = nullptr;  // null without an image branch
  TokenGrid grid;
};

// Error(kData): name, expected, found.
WanInputs check_wan_inputs(const ModelInputs& inputs, const WanConfig& config);

// Error(kind) where the latent [B, C, F, Hl, Wl] has no whole patches or exceeds the rotary tables.
TokenGrid wan_token_grid(const std::vector<int64_t>& latent_shape, const WanConfig& config,
                         ErrorKind kind);

}  // namespace sparsescope
