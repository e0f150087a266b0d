#include "capture/forward_files.h"

#include <charconv>
#include <chrono>
#include <string_view>

#include "capture/record_hook.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"

namespace sparsescope {
namespace {

bool is_floating(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
    case Dtype::kBF16:
    case Dtype::kF32:
    case Dtype::kF64:
      return true;
    default:
      return false;
  }
}

std::vector<float> values_as_float(const StoredTensor& stored, const std::string& what) {
  if (is_floating(stored.dtype)) return to_float(stored, what);
  constexpr int64_t kLargestExact = int64_t{1} << 24;
  std::vector<float> values;
  for (const int64_t value : to_int64(stored, what)) {
    SPARSESCOPE_CHECK(ErrorKind::kData, value >= -kLargestExact && value <= kLargestExact,
                      "{}: expected integers up to 2^24, found {}", what, value);
    values.push_back(static_cast<float>(value));
  }
  return values;
}

TensorToWrite named(const std::string& name, const HostTensor& tensor) {
  return {name, Dtype::kF32, tensor.shape, bytes_of(tensor.values)};
}

}  // namespace

ModelInputs read_model_inputs(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  ModelInputs inputs;
  for (const TensorInfo& info : file.tensors()) {
    const std::string what = path.string() + ": " + info.name;
    inputs[info.name] = {info.shape, values_as_float(file.fetch(info.name), what)};
  }
  return inputs;
}

std::set<int64_t> parse_layers(const std::string& text, int64_t layers) {
  std::set<int64_t> result;
  if (text == "all") {
    for (int64_t layer = 0; layer < layers; ++layer) result.insert(layer);
    return result;
  }
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    const bool last = item.size() == rest.size();
    int64_t layer = -1;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), layer);
    const bool number = error == std::errc() && end == item.data() + item.size();
    SPARSESCOPE_CHECK(ErrorKind::kUsage, number && layer >= 0 && layer < layers,
                      "--capture: expected layers 0 to {} or all, found '{}'", layers - 1, text);
    result.insert(layer);
    if (last) break;
    rest.remove_prefix(item.size() + 1);
    SPARSESCOPE_CHECK(ErrorKind::kUsage, !rest.empty(),
                      "--capture: expected layers 0 to {} or all, found '{}'", layers - 1, text);
  }
  return result;
}

ForwardResult forward_to_file(VideoTransformer& model, const ModelInputs& inputs,
                              const std::set<int64_t>& captured_layers, AttentionHook& hook,
                              const std::filesystem::path& out, bool replace) {
  RecordHook recorder(hook,
                      [&](const SiteKey& site) { return captured_layers.contains(site.layer); });
  const auto start = std::chrono::steady_clock::now();
  const HostTensor sample = model.forward(inputs, {}, recorder);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  std::vector<TensorToWrite> tensors = {named("sample", sample)};
  const std::vector<RecordedCall> calls = recorder.take();
  for (const RecordedCall& call : calls) {
    const std::string layer = std::to_string(call.site.layer);
    tensors.push_back(named("q." + layer, call.q));
    tensors.push_back(named("k." + layer, call.k));
    tensors.push_back(named("v." + layer, call.v));
  }
  write_safetensors(out, std::move(tensors), {{"producer", "sparsescope forward"}}, replace);
  return {sample.shape, elapsed.count()};
}

}  // namespace sparsescope
