#include "checkpoint/safetensors.h"

#include <algorithm>
#include <numeric>

#include "checkpoint/mapped_file.h"
#include "checkpoint/printable.h"
#include "checkpoint/safetensors_header.h"
#include "core/error.h"

namespace sparsescope {

int64_t TensorInfo::elements() const {
  uint64_t product = 1;  // left to right, as the header was checked
  for (const int64_t extent : shape) product *= static_cast<uint64_t>(extent);
  return static_cast<int64_t>(product);
}

struct SafetensorsFile::State {
  std::filesystem::path path;
  std::shared_ptr<const MappedFile> file;
  SafetensorsHeader header;
  std::vector<uint32_t> by_name;  // indices of header.tensors
};

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  auto state = std::make_shared<State>();
  state->path = path;
  state->file = MappedFile::open(path);
  state->header = parse_safetensors_header(state->file->bytes(), path.string());
  const std::vector<TensorInfo>& tensors = state->header.tensors;
  state->by_name.resize(tensors.size());
  std::iota(state->by_name.begin(), state->by_name.end(), 0u);
  std::sort(state->by_name.begin(), state->by_name.end(),
            [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
  SafetensorsFile result;
  result.state_ = std::move(state);
  return result;
}

const std::filesystem::path& SafetensorsFile::path() const { return state_->path; }

const std::vector<TensorInfo>& SafetensorsFile::tensors() const { return state_->header.tensors; }

const std::map<std::string, std::string>& SafetensorsFile::metadata() const {
  return state_->header.metadata;
}

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
  const std::vector<TensorInfo>& all = tensors();
  const auto found = std::lower_bound(
      state_->by_name.begin(), state_->by_name.end(), name,
      [&](uint32_t index, const std::string& key) { return all[index].name < key; });
  if (found == state_->by_name.end() || all[*found].name != name) return nullptr;
  return &all[*found];
}

StoredTensor SafetensorsFile::fetch(const std::string& name) const {
  const TensorInfo* info = find(name);
  SPARSESCOPE_CHECK(ErrorKind::kData, info != nullptr, "{}: expected a tensor \"{}\", found none",
                    path().string(), printable(name));
  SPARSESCOPE_CHECK(
      ErrorKind::kUnsupported, info->dtype.has_value(),
      "{}: tensor \"{}\": expected a known dtype (F32, BF16, F16, F8_E4M3, ...), found "
      "\"{}\"",
      path().string(), printable(name), printable(info->dtype_text));
  return {.data = state_->file->bytes().data() + state_->header.buffer_offset + info->begin,
          .bytes = info->bytes(),
          .dtype = *info->dtype,
          .shape = info->shape,
          .owner = state_->file};
}

}  // namespace sparsescope
