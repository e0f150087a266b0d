#include "model/weight_map.h"

#include <optional>

#include "core/error.h"
#include "model/fp8_scales.h"
#include "model/torch_util.h"

namespace sparsescope {
namespace {

at::ScalarType loaded_type(const WeightSpec& spec, at::ScalarType compute) {
  return spec.keep_f32 ? at::kFloat : compute;
}

at::Tensor load_weight(const StateDict& weights, const std::string& name, const WeightSpec& spec,
                       at::ScalarType type) {
  const StoredTensor stored = weights.fetch(name, spec.shape);
  const std::optional<float> scale = weight_scale(weights, name);
  if (!scale) return to_torch(stored, type, name);
  return to_torch(stored, at::kFloat, name).mul_(*scale).to(type);
}

}  // namespace

WeightMap WeightMap::load(const StateDict& weights, const WeightSpecs& specs,
                          const std::string& prefix, at::ScalarType compute) {
  WeightMap map;
  for (const WeightSpec& spec : specs) {
    map.tensors_[spec.name] =
        load_weight(weights, prefix + spec.name, spec, loaded_type(spec, compute));
  }
  return map;
}

const at::Tensor& WeightMap::at(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail(ErrorKind::kInternal, "weight {} was not loaded", name);
  return it->second;
}

WeightMap WeightMap::moved_to(at::Device device) const {
  WeightMap moved;
  for (const auto& [name, tensor] : tensors_) moved.tensors_[name] = tensor.to(device);
  return moved;
}

WeightMap WeightMap::pinned() const {
  WeightMap result;
  for (const auto& [name, tensor] : tensors_) result.tensors_[name] = tensor.pin_memory();
  return result;
}

void WeightMap::assign(const WeightMap& other) {
  SPARSESCOPE_ASSERT(other.tensors_.size() == tensors_.size());
  for (auto& [name, tensor] : tensors_) tensor.copy_(other.at(name), /*non_blocking=*/true);
}

at::Tensor WeightMap::linear(const at::Tensor& x, const std::string& name) const {
  const at::Tensor& weight = at(name + ".weight");
  return at::linear(x.to(weight.scalar_type()), weight, at(name + ".bias"));
}

int64_t weight_bytes(const WeightSpecs& specs, at::ScalarType compute) {
  int64_t bytes = 0;
  for (const WeightSpec& spec : specs) {
    bytes += spec.elements() * static_cast<int64_t>(c10::elementSize(loaded_type(spec, compute)));
  }
  return bytes;
}

}  // namespace sparsescope
