#include "model/codec.h"

#include "checkpoint/state_dict.h"
#include "core/error.h"
#include "core/tensor_view.h"
#include "model/folder_config.h"

namespace sparsescope {
namespace {

constexpr int64_t kColours = 3;

HostTensor fetch(const StateDict& weights, const std::string& name, std::vector<int64_t> shape) {
  std::vector<float> values = to_float(weights.fetch(name, shape), name);
  return {std::move(shape), std::move(values)};
}

// A video [F, 3, H, W] cut into patches: component j = (channel, dy, dx) of the patch at (f, y, x).
struct PatchLayout {
  int64_t F, rows, columns, patch;
  int64_t width() const { return kColours * patch * patch; }
  size_t pixel(int64_t f, int64_t y, int64_t x, int64_t j) const {
    const int64_t channel = j / (patch * patch);
    const int64_t dy = j / patch % patch;
    const int64_t dx = j % patch;
    const int64_t H = rows * patch, W = columns * patch;
    return static_cast<size_t>(((f * kColours + channel) * H + y * patch + dy) * W + x * patch +
                               dx);
  }
  // Index of channel c at (f, y, x) in latents [1, C, F, rows, columns].
  size_t latent(int64_t c, int64_t f, int64_t y, int64_t x) const {
    return static_cast<size_t>(((c * F + f) * rows + y) * columns + x);
  }
};

template <typename Body>
void for_each_patch(const PatchLayout& layout, Body&& body) {
  for (int64_t f = 0; f < layout.F; ++f) {
    for (int64_t y = 0; y < layout.rows; ++y) {
      for (int64_t x = 0; x < layout.columns; ++x) body(f, y, x);
    }
  }
}

}  // namespace

LinearCodec LinearCodec::open(const std::filesystem::path& folder) {
  const FolderConfig config(folder, "LinearCodec");
  LinearCodec codec;
  codec.patch_ = config.positive("patch");
  codec.channels_ = config.positive("channels");
  const int64_t width = kColours * codec.patch_ * codec.patch_;
  const StateDict weights = StateDict::open(folder / "model.safetensors");
  codec.mean_ = fetch(weights, "mean", {width});
  codec.basis_ = fetch(weights, "basis", {codec.channels_, width});
  codec.std_ = fetch(weights, "std", {codec.channels_});
  return codec;
}

std::vector<int64_t> LinearCodec::video_shape(const std::vector<int64_t>& s) const {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, s.size() == 5 && s[0] == 1 && s[1] == channels_,
                    "codec: expected latents [1, {}, F, H, W], found {}", channels_,
                    shape_to_string(s));
  return {s[2], kColours, s[3] * patch_, s[4] * patch_};
}

HostTensor LinearCodec::decode(const HostTensor& latents) const {
  const auto& s = latents.shape;
  HostTensor video = HostTensor::zeros(video_shape(s));  // [F, 3, H, W]
  const PatchLayout layout{s[2], s[3], s[4], patch_};
  std::vector<double> p(static_cast<size_t>(layout.width()));
  for_each_patch(layout, [&](int64_t f, int64_t y, int64_t x) {
    p.assign(mean_.values.begin(), mean_.values.end());
    for (int64_t c = 0; c < channels_; ++c) {
      const double z = static_cast<double>(latents.values[layout.latent(c, f, y, x)]) *
                       std_.values[static_cast<size_t>(c)];
      const float* row = &basis_.values[static_cast<size_t>(c * layout.width())];
      for (size_t j = 0; j < p.size(); ++j) p[j] += z * row[j];
    }
    for (size_t j = 0; j < p.size(); ++j) {
      video.values[layout.pixel(f, y, x, static_cast<int64_t>(j))] = static_cast<float>(p[j]);
    }
  });
  return video;
}

HostTensor LinearCodec::encode(const HostTensor& video) const {
  const auto& s = video.shape;
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    s.size() == 4 && s[1] == kColours && s[2] % patch_ == 0 && s[3] % patch_ == 0,
                    "codec: expected a video [F, 3, H, W] with sides divisible by {}, found {}",
                    patch_, shape_to_string(s));
  const PatchLayout layout{s[0], s[2] / patch_, s[3] / patch_, patch_};
  HostTensor latents = HostTensor::zeros(
      {1, channels_, layout.F, layout.rows, layout.columns});  // [1, C, F, Hl, Wl]
  for_each_patch(layout, [&](int64_t f, int64_t y, int64_t x) {
    for (int64_t c = 0; c < channels_; ++c) {
      double z = 0.0;
      for (int64_t j = 0; j < layout.width(); ++j) {
        const double centred = static_cast<double>(video.values[layout.pixel(f, y, x, j)]) -
                               mean_.values[static_cast<size_t>(j)];
        z += centred * basis_.values[static_cast<size_t>(c * layout.width() + j)];
      }
      latents.values[layout.latent(c, f, y, x)] =
          static_cast<float>(z / std_.values[static_cast<size_t>(c)]);
    }
  });
  return latents;
}

}  // namespace sparsescope
