#include "stats/hashed_tensors.h"

#include <algorithm>

#include "core/error.h"
#include "core/sha256.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

constexpr const char* kHashKey = "sha256";

// Every tensor by name, with its type, shape and bytes, and every text but the hash itself.
class ContentHash {
 public:
  explicit ContentHash(const Metadata& metadata) {
    for (const auto& [name, value] : metadata) {
      if (name == kHashKey) continue;
      text(name);
      text(value);
    }
  }
  // In ascending order of name.
  void tensor(const std::string& name, Dtype dtype, const std::vector<int64_t>& shape,
              std::span<const std::byte> bytes) {
    text(name);
    text(std::string(dtype_file_name(dtype)));
    text(shape_to_string(shape));
    hash_.update(bytes.data(), bytes.size());
  }
  std::string hex() { return hash_.hex(); }

 private:
  void text(const std::string& value) {
    hash_.update(value.c_str(), value.size() + 1);  // the NUL keeps neighbours apart
  }
  Sha256 hash_;
};

}  // namespace

void write_hashed_tensors(const std::filesystem::path& path, std::vector<TensorToWrite> tensors,
                          Metadata metadata) {
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorToWrite& a, const TensorToWrite& b) { return a.name < b.name; });
  ContentHash hash(metadata);
  for (const TensorToWrite& tensor : tensors) {
    hash.tensor(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
  }
  metadata[kHashKey] = hash.hex();
  write_safetensors(path, std::move(tensors), metadata, true);
}

SafetensorsFile open_hashed_tensors(const std::filesystem::path& path, const Metadata& identity) {
  SafetensorsFile file = SafetensorsFile::open(path);
  ContentHash hash(file.metadata());
  for (const std::string& name : sorted_tensor_names(file)) {
    const StoredTensor tensor = file.fetch(name);
    hash.tensor(name, tensor.dtype, tensor.shape, {tensor.data, tensor.bytes});
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, metadata_text(file, kHashKey) == hash.hex(),
                    "{}: its content does not fit its SHA-256", path.string());
  for (const auto& [key, expected] : identity) {
    const std::string found = metadata_text(file, key);
    SPARSESCOPE_CHECK(ErrorKind::kData, found == expected,
                      "{}: belongs to another run or place: expected the {} {}, found {}",
                      path.string(), key, expected, found);
  }
  return file;
}

std::vector<std::string> sorted_tensor_names(const SafetensorsFile& file) {
  std::vector<std::string> names;
  for (const TensorInfo& info : file.tensors()) names.push_back(info.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string metadata_text(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  SPARSESCOPE_CHECK(ErrorKind::kData, found != file.metadata().end(),
                    "{}: expected the metadata '{}', which is missing", file.path().string(), key);
  return found->second;
}

}  // namespace sparsescope
