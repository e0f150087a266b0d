#include "sparse/attend_files.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "checkpoint/safetensors.h"
#include "core/error.h"

namespace sparsescope {
namespace {

template <typename T>
std::pair<const void*, std::shared_ptr<const void>> owned(std::vector<T> values) {
  const auto owner = std::make_shared<const std::vector<T>>(std::move(values));
  return {owner->data(), owner};
}

// Mapped bytes may lie anywhere; kernels want aligned elements.
std::pair<const void*, std::shared_ptr<const void>> aligned(const StoredTensor& tensor) {
  if (reinterpret_cast<uintptr_t>(tensor.data) % sizeof(float) == 0) {
    return {tensor.data, tensor.owner};
  }
  std::vector<float> words((tensor.bytes + sizeof(float) - 1) / sizeof(float));
  std::memcpy(words.data(), tensor.data, tensor.bytes);
  return owned(std::move(words));
}

std::pair<const void*, std::shared_ptr<const void>> converted(const StoredTensor& tensor,
                                                              const std::string& name,
                                                              Dtype dtype) {
  std::vector<float> values = to_float(tensor, name);
  if (dtype == Dtype::kF32) return owned(std::move(values));
  std::vector<uint16_t> halves(values.size());
  std::transform(values.begin(), values.end(), halves.begin(),
                 dtype == Dtype::kBF16 ? float_to_bf16 : float_to_f16);
  return owned(std::move(halves));
}

AttentionTensor read_tensor(const SafetensorsFile& file, const std::string& name,
                            std::optional<Dtype> compute, AttendFile& result) {
  const StoredTensor stored = file.fetch(name);
  const std::string what = file.path().string() + ": " + name;
  SPARSESCOPE_CHECK(
      ErrorKind::kData,
      stored.dtype == Dtype::kF32 || stored.dtype == Dtype::kBF16 || stored.dtype == Dtype::kF16,
      "{}: expected fp32, bf16 or fp16, found {}", what, dtype_name(stored.dtype));
  SPARSESCOPE_CHECK(ErrorKind::kData, stored.shape.size() == 4,
                    "{}: expected [B, H, S, D], found {}", what, shape_to_string(stored.shape));
  const Dtype dtype = compute.value_or(stored.dtype);
  auto [data, owner] = dtype == stored.dtype ? aligned(stored) : converted(stored, what, dtype);
  result.owners.push_back(std::move(owner));
  return contiguous_attention_tensor(data, dtype, stored.shape[0], stored.shape[1], stored.shape[2],
                                     stored.shape[3]);
}

}  // namespace

AttendFile read_attend_file(const std::filesystem::path& path, std::optional<Dtype> compute) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  AttendFile result;
  AttendInputs& inputs = result.inputs;
  inputs.source = path.string();
  inputs.q = read_tensor(file, "q", compute, result);
  inputs.k = read_tensor(file, "k", compute, result);
  inputs.v = read_tensor(file, "v", compute, result);
  for (const auto& [name, tensor] : {std::pair{"gate", &inputs.gate}, {"d_out", &inputs.d_out}}) {
    if (file.find(name) != nullptr) *tensor = read_tensor(file, name, compute, result);
  }
  return result;
}

void write_attend_outputs(const std::filesystem::path& path, const std::vector<NamedArray>& outputs,
                          bool replace) {
  std::vector<TensorToWrite> tensors;
  for (const NamedArray& output : outputs) {
    const bool floats = std::holds_alternative<std::vector<float>>(output.values);
    const auto bytes =
        std::visit([](const auto& values) { return bytes_of(values); }, output.values);
    tensors.push_back({output.name, floats ? Dtype::kF32 : Dtype::kU8, output.shape, bytes});
  }
  write_safetensors(path, std::move(tensors), {{"producer", "sparsescope attend"}}, replace);
}

}  // namespace sparsescope
