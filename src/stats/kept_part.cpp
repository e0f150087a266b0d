#include "stats/kept_part.h"

#include "core/error.h"
#include "core/json_io.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

constexpr const char* kPrefix = "qkv/";
constexpr const char* kMetadataKey = "qkv";

std::string call_name(const SiteKey& site) {
  return fmt::format("b{}/l{}", static_cast<int>(site.branch), site.layer);
}

}  // namespace

bool is_call_tensor(const std::string& name) { return name.starts_with(kPrefix); }

void add_call_tensors(const std::vector<RecordedCall>& calls, std::vector<TensorToWrite>& tensors,
                      Metadata& metadata) {
  if (calls.empty()) return;
  Json texts = Json::array();
  for (const RecordedCall& call : calls) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, call.q.shape.front() == 1,
                      "recorded attention: expected batch 1, found {}", call.q.shape.front());
    const std::string name = call_name(call.site);
    texts.push_back({{"name", name},
                     {"branch", static_cast<int>(call.site.branch)},
                     {"layer", call.site.layer},
                     {"prefix", call.prefix},
                     {"suffix", call.suffix},
                     {"scale", call.scale},
                     {"heads", call.heads}});
    const HostTensor* qkv[] = {&call.q, &call.k, &call.v};
    for (size_t i = 0; i < kQkvNames.size(); ++i) {
      const std::vector<int64_t> shape(qkv[i]->shape.begin() + 1, qkv[i]->shape.end());
      tensors.push_back(
          {kPrefix + name + "/" + kQkvNames[i], Dtype::kF32, shape, bytes_of(qkv[i]->values)});
    }
  }
  metadata[kMetadataKey] = texts.dump();
}

std::map<std::string, KeptCall> kept_calls_of_part(const std::filesystem::path& path,
                                                   int64_t prompt, int64_t step) {
  std::map<std::string, KeptCall> calls;
  const SafetensorsFile file = SafetensorsFile::open(path);
  if (!file.metadata().contains(kMetadataKey)) return calls;
  const Json texts = parse_json(metadata_text(file, kMetadataKey), path.string() + ": qkv");
  for (const Json& text : texts) {
    KeptCall call;
    call.prefix = text.at("prefix").get<int64_t>();
    call.suffix = text.at("suffix").get<int64_t>();
    call.scale = text.at("scale").get<double>();
    call.heads = text.at("heads").get<std::vector<int64_t>>();
    for (size_t i = 0; i < kQkvNames.size(); ++i) {
      const std::string tensor = kPrefix + text.at("name").get<std::string>() + "/" + kQkvNames[i];
      call.qkv[i] = array_in_file(path, tensor, file.fetch(tensor).shape);
    }
    calls.emplace(
        map_name(prompt, text.at("branch").get<int64_t>(), step, text.at("layer").get<int64_t>()),
        std::move(call));
  }
  return calls;
}

KeptArray<float> array_in_file(const std::filesystem::path& path, const std::string& tensor,
                               std::vector<int64_t> shape) {
  return {std::move(shape),
          [path, tensor] { return values_of<float>(SafetensorsFile::open(path).fetch(tensor)); }};
}

}  // namespace sparsescope
