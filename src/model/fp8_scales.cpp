#include "model/fp8_scales.h"

#include <string_view>

#include "core/error.h"
#include "core/json_io.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

bool is_fp8(const TensorInfo& info) {
  return info.dtype == Dtype::kF8E4M3 || info.dtype == Dtype::kF8E5M2 ||
         info.dtype == Dtype::kF8E4M3Fnuz || info.dtype == Dtype::kF8E5M2Fnuz;
}

bool is_activation_hint(std::string_view name) {
  return name.ends_with(".scale_input") || name.ends_with(".input_scale");
}

// X.comfy_quant holds JSON text such as {"format": "float8_e4m3fn"}.
void check_descriptor(const StateDict& weights, const std::string& name) {
  const StoredTensor stored = weights.fetch(name, weights.info(name).shape);
  const std::string_view text(reinterpret_cast<const char*>(stored.data), stored.bytes);
  const Json descriptor = parse_json(text, weights.path().string() + ": " + name);
  const auto format = descriptor.is_object() ? descriptor.find("format") : descriptor.end();
  const bool plain = format != descriptor.end() && format->is_string() &&
                     format->get_ref<const std::string&>() == "float8_e4m3fn" &&
                     !descriptor.contains("convrot");
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, plain,
                    "{}: {}: quantisation {} is not supported; float8_e4m3fn is",
                    weights.path().string(), name, descriptor.dump());
}

}  // namespace

std::optional<float> weight_scale(const StateDict& weights, const std::string& weight_name) {
  constexpr std::string_view kLeaf = ".weight";
  if (!weight_name.ends_with(kLeaf)) return std::nullopt;
  const std::string module = weight_name.substr(0, weight_name.size() - kLeaf.size());
  for (const char* leaf : {".scale_weight", ".weight_scale"}) {
    const std::string name = module + leaf;
    if (!weights.contains(name)) continue;
    const TensorInfo& info = weights.info(name);
    SPARSESCOPE_CHECK(ErrorKind::kUnsupported, info.elements() <= 1,
                      "{}: {}: only one scale per tensor is supported, found shape {}",
                      weights.path().string(), name, shape_to_string(info.shape));
    const std::vector<float> values = to_float(weights.fetch(name, info.shape), name);
    return values.empty() ? 1.0f : values.front();
  }
  return std::nullopt;
}

std::vector<std::string> review_quantisation(const StateDict& weights) {
  int64_t quantised = 0, scaled = 0, hints = 0;
  for (const std::string& name : weights.names()) {
    if (is_fp8(weights.info(name)) && name != "scaled_fp8") {
      ++quantised;
      if (weight_scale(weights, name)) ++scaled;
    } else if (name == "scaled_fp8") {
      weights.mark_used(name);
    } else if (is_activation_hint(name)) {
      weights.mark_used(name);
      ++hints;
    } else if (name.ends_with(".comfy_quant")) {
      check_descriptor(weights, name);
    }
  }
  std::vector<std::string> remarks;
  if (quantised > 0) {
    remarks.push_back(
        fmt::format("{} fp8 tensors decoded, {} of them with a scale", quantised, scaled));
  }
  if (hints > 0) remarks.push_back(fmt::format("{} activation scales are not used", hints));
  return remarks;
}

}  // namespace sparsescope
