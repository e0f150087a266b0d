#include "model/key_prefixes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace sparsescope {
namespace {

constexpr std::array<std::string_view, 7> kOtherModels = {
    "vae.",           "first_stage_model.", "text_encoder.", "text_encoders.",
    "image_encoder.", "cond_stage_model.",  "conditioner."};

constexpr std::array<std::string_view, 5> kWrappers = {"model.diffusion_model.", "diffusion_model.",
                                                       "model.", "module.", "state_dict."};

// The marker of scaled fp8 files may stand outside the prefix.
constexpr std::string_view kMarker = "scaled_fp8";

bool belongs_elsewhere(const std::string& name) {
  return std::any_of(kOtherModels.begin(), kOtherModels.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// The wrapper that all names carry, or empty.
std::string_view common_wrapper(const StateDict& weights) {
  const std::vector<std::string> names = weights.names();
  for (const std::string_view wrapper : kWrappers) {
    const bool all = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return name.starts_with(wrapper) || name == kMarker;
    });
    const bool any = std::any_of(names.begin(), names.end(),
                                 [&](const std::string& name) { return name != kMarker; });
    if (all && any) return wrapper;
  }
  return {};
}

}  // namespace

std::vector<std::string> normalise_prefixes(StateDict& weights) {
  std::vector<std::string> remarks;
  const std::vector<std::string> names = weights.names();
  const auto dropped = std::count_if(names.begin(), names.end(), belongs_elsewhere);
  if (dropped > 0) {
    weights.rename(
        [](const std::string& name) { return belongs_elsewhere(name) ? std::string() : name; });
    remarks.push_back(fmt::format("{} tensors of other models in the file are skipped", dropped));
  }
  for (std::string_view wrapper = common_wrapper(weights); !wrapper.empty();
       wrapper = common_wrapper(weights)) {
    weights.rename([&](const std::string& name) {
      return name.starts_with(wrapper) ? name.substr(wrapper.size()) : name;
    });
  }
  return remarks;
}

}  // namespace sparsescope
