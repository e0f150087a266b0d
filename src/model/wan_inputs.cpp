#include "model/wan_inputs.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/tensor_view.h"

namespace sparsescope {
namespace {

// Wan's image branch finds the text as the last 512 rows of the context.
constexpr int64_t kImageTextRows = 512;

const HostTensor& require(const ModelInputs& inputs, const std::string& name) {
  const auto it = inputs.find(name);
  SPARSESCOPE_CHECK(ErrorKind::kData, it != inputs.end(), "input {}: expected a tensor, found none",
                    name);
  return it->second;
}

void check_shape(const std::string& name, const HostTensor& tensor, bool fits,
                 const std::string& expected) {
  SPARSESCOPE_CHECK(ErrorKind::kData, fits, "input {}: expected {}, found {}", name, expected,
                    shape_to_string(tensor.shape));
}

void refuse_superfluous(const ModelInputs& inputs, const WanConfig& config) {
  constexpr std::array<std::string_view, 4> kNames = {
      "hidden_states", "timestep", "encoder_hidden_states", "encoder_hidden_states_image"};
  const size_t count = config.has_image_branch() ? kNames.size() : kNames.size() - 1;
  for (const auto& [name, tensor] : inputs) {
    const bool known = std::find(kNames.begin(), kNames.begin() + count, name) !=
                       kNames.begin() + static_cast<std::ptrdiff_t>(count);
    SPARSESCOPE_CHECK(
        ErrorKind::kData, known,
        "input {}: expected none of this name (the model takes hidden_states, timestep, "
        "encoder_hidden_states{}), found {}",
        name, config.has_image_branch() ? ", encoder_hidden_states_image" : "",
        shape_to_string(tensor.shape));
  }
}

void check_text(const HostTensor& text, int64_t B, const WanConfig& config) {
  const std::string name = "encoder_hidden_states";
  const auto& s = text.shape;
  const bool image = config.has_image_branch();
  const bool fits = s.size() == 3 && s[0] == B && s[2] == config.text_dim &&
                    (image ? s[1] == kImageTextRows : s[1] > 0);
  check_shape(
      name, text, fits,
      fmt::format("[{}, {}, {}]{}", B, image ? std::to_string(kImageTextRows) : "rows",
                  config.text_dim,
                  image ? " (a model with an image branch takes exactly 512 text rows)" : ""));
}

void check_image(const HostTensor& image, int64_t B, const WanConfig& config) {
  const std::string name = "encoder_hidden_states_image";
  const auto& s = image.shape;
  const bool rank = s.size() == 3 && s[1] > 0 && s[2] == config.image_dim;
  if (config.pos_embed_rows == 0) {
    check_shape(name, image, rank && s[0] == B, fmt::format("[{}, rows, {}]", B, config.image_dim));
  } else {
    check_shape(name, image, rank && s[0] * s[1] == B * config.pos_embed_rows,
                fmt::format("[{}, {}, {}] (first and last frame)", 2 * B, config.pos_embed_rows / 2,
                            config.image_dim));
  }
}

}  // namespace

TokenGrid wan_token_grid(const std::vector<int64_t>& latent_shape, const WanConfig& config,
                         ErrorKind kind) {
  const bool positive = std::all_of(latent_shape.begin(), latent_shape.end(),
                                    [](int64_t extent) { return extent > 0; });
  SPARSESCOPE_CHECK(kind, latent_shape.size() == 5 && positive,
                    "latent: expected [B, C, F, H, W] with positive extents, found {}",
                    shape_to_string(latent_shape));
  const int64_t F = latent_shape[2], Hl = latent_shape[3], Wl = latent_shape[4];
  SPARSESCOPE_CHECK(
      kind, F % config.patch_t == 0 && Hl % config.patch_h == 0 && Wl % config.patch_w == 0,
      "latent: expected frames, height and width divisible by the patch {},{},{}, found {},{},{}",
      config.patch_t, config.patch_h, config.patch_w, F, Hl, Wl);
  const TokenGrid grid{F / config.patch_t, Hl / config.patch_h, Wl / config.patch_w};
  SPARSESCOPE_CHECK(kind, std::max({grid.t, grid.h, grid.w}) <= config.max_axis,
                    "token grid: expected at most {} along an axis (rope_max_seq_len), found {}",
                    config.max_axis, to_string(grid));
  return grid;
}

WanInputs check_wan_inputs(const ModelInputs& inputs, const WanConfig& config) {
  refuse_superfluous(inputs, config);
  WanInputs checked;
  checked.hidden_states = &require(inputs, "hidden_states");
  checked.timestep = &require(inputs, "timestep");
  checked.encoder_hidden_states = &require(inputs, "encoder_hidden_states");
  const auto& latent = checked.hidden_states->shape;
  check_shape("hidden_states", *checked.hidden_states,
              latent.size() == 5 && latent[0] > 0 && latent[1] == config.in_channels,
              fmt::format("[B, {}, F, H, W]", config.in_channels));
  checked.grid = wan_token_grid(latent, config, ErrorKind::kData);
  const int64_t B = latent[0], S = checked.grid.tokens();
  const auto& t = checked.timestep->shape;
  check_shape("timestep", *checked.timestep,
              (t.size() == 1 && t[0] == B) || (t.size() == 2 && t[0] == B && t[1] == S),
              fmt::format("[{}] or [{}, {}]", B, B, S));
  check_text(*checked.encoder_hidden_states, B, config);
  if (config.has_image_branch()) {
    checked.encoder_hidden_states_image = &require(inputs, "encoder_hidden_states_image");
    check_image(*checked.encoder_hidden_states_image, B, config);
  }
  return checked;
}

}  // namespace sparsescope
