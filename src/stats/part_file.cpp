#include "stats/part_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/sha256.h"

namespace sparsescope {
namespace {

using Metadata = std::map<std::string, std::string>;

// Every tensor by name, with its type, shape and bytes, and every text but the hash itself.
class ContentHash {
 public:
  explicit ContentHash(const Metadata& metadata) {
    for (const auto& [name, value] : metadata) {
      if (name == "sha256") continue;
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

std::string site_prefix(const SiteKey& site) {
  return fmt::format("b{}/l{}", static_cast<int>(site.branch), site.layer);
}

std::vector<TensorToWrite> tensors_of(const ProfilePart& part) {
  std::vector<TensorToWrite> tensors;
  for (const SiteStatistics& site : part.sites) {
    const std::string prefix = site_prefix(site.site);
    for (const StatArray& array : site.arrays) {
      tensors.push_back(
          {prefix + "/" + array.name, Dtype::kF64, array.shape, bytes_of(array.values)});
    }
    if (!site.map.empty()) {
      tensors.push_back({"map/" + prefix, Dtype::kF32, {std::ssize(site.map)}, bytes_of(site.map)});
    }
  }
  const TrajectoryState& state = part.state;
  const auto add_state = [&](const std::string& name, const HostTensor& tensor) {
    tensors.push_back({"state/" + name, Dtype::kF32, tensor.shape, bytes_of(tensor.values)});
  };
  add_state("latents", state.latents);
  for (size_t i = 0; i < state.history.size(); ++i) {
    add_state(fmt::format("history/{:04}", i), state.history[i]);
  }
  if (!state.counters.empty()) {
    tensors.push_back(
        {"state/counters", Dtype::kI64, {std::ssize(state.counters)}, bytes_of(state.counters)});
  }
  return tensors;
}

Metadata metadata_of(const ProfilePart& part, const std::string& fingerprint) {
  Json axes = Json::object();
  for (const SiteStatistics& site : part.sites) {
    for (const StatArray& array : site.arrays) axes[array.name] = array.axes;
  }
  return {{"fingerprint", fingerprint},
          {"prompt", std::to_string(part.prompt)},
          {"step", std::to_string(part.step)},
          {"next_step", std::to_string(part.state.next_step)},
          {"seconds", fmt::format("{}", part.seconds)},
          {"axes", axes.dump()}};
}

template <typename T>
std::vector<T> values_of(const StoredTensor& tensor) {
  std::vector<T> values(tensor.bytes / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.data, tensor.bytes);
  return values;
}

class PartReader {
 public:
  explicit PartReader(const std::filesystem::path& path)
      : file_(SafetensorsFile::open(path)), name_(path.string()) {
    for (const TensorInfo& info : file_.tensors()) names_.push_back(info.name);
    std::sort(names_.begin(), names_.end());
  }

  ProfilePart read(int64_t prompt, int64_t step, const std::string& fingerprint) {
    check_identity(prompt, step, fingerprint);
    part_.prompt = prompt;
    part_.step = step;
    part_.state.next_step = std::stoll(text("next_step"));
    part_.seconds = std::stod(text("seconds"));
    axes_ = parse_json(text("axes"), name_ + ": axes");
    for (const std::string& name : names_) take(name);
    for (auto& [key, site] : sites_) part_.sites.push_back(std::move(site));
    return std::move(part_);
  }

 private:
  std::string text(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    SPARSESCOPE_CHECK(ErrorKind::kData, found != file_.metadata().end(),
                      "{}: expected the metadata '{}', which is missing", name_, key);
    return found->second;
  }

  void check_identity(int64_t prompt, int64_t step, const std::string& fingerprint) const {
    ContentHash hash(file_.metadata());
    for (const std::string& name : names_) {
      const StoredTensor tensor = file_.fetch(name);
      hash.tensor(name, tensor.dtype, tensor.shape, {tensor.data, tensor.bytes});
    }
    SPARSESCOPE_CHECK(ErrorKind::kData, text("sha256") == hash.hex(),
                      "{}: its content does not fit its SHA-256", name_);
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      text("fingerprint") == fingerprint &&
                          text("prompt") == std::to_string(prompt) &&
                          text("step") == std::to_string(step),
                      "{}: belongs to another run or step", name_);
  }

  // "b0/l3" -> the site's entry, in the order (branch, layer).
  SiteStatistics& site_of(const std::string& prefix) {
    int branch = 0;
    int64_t layer = 0;
    const int fields = std::sscanf(prefix.c_str(), "b%d/l%ld", &branch, &layer);
    SPARSESCOPE_CHECK(ErrorKind::kData, fields == 2, "{}: the tensor {} is of no site", name_,
                      prefix);
    SiteStatistics& site = sites_[{branch, layer}];
    site.site.prompt = part_.prompt;
    site.site.step = part_.step;
    site.site.branch = static_cast<Branch>(branch);
    site.site.layer = layer;
    return site;
  }

  void take(const std::string& name) {
    const StoredTensor tensor = file_.fetch(name);
    if (name.starts_with("state/")) {
      take_state(name, tensor);
    } else if (name.starts_with("map/")) {
      site_of(name.substr(4)).map = values_of<float>(tensor);
    } else {
      const size_t slash = name.find('/', name.find('/') + 1);
      StatArray array;
      array.name = name.substr(slash + 1);
      array.shape = tensor.shape;
      array.axes = axes_.at(array.name).get<std::vector<std::string>>();
      array.values = values_of<double>(tensor);
      site_of(name.substr(0, slash)).arrays.push_back(std::move(array));
    }
  }

  void take_state(const std::string& name, const StoredTensor& tensor) {
    if (name == "state/counters") {
      part_.state.counters = values_of<int64_t>(tensor);
      return;
    }
    HostTensor values{tensor.shape, values_of<float>(tensor)};
    if (name == "state/latents") {
      part_.state.latents = std::move(values);
    } else {
      part_.state.history.push_back(std::move(values));  // names ascend with the index
    }
  }

  SafetensorsFile file_;
  std::string name_;
  std::vector<std::string> names_;
  Json axes_;
  std::map<std::pair<int, int64_t>, SiteStatistics> sites_;
  ProfilePart part_;
};

}  // namespace

std::string part_file_name(int64_t prompt, int64_t step) {
  return fmt::format("p{:04}_s{:04}.safetensors", prompt, step);
}

void write_part_file(const std::filesystem::path& path, const ProfilePart& part,
                     const std::string& fingerprint) {
  std::vector<TensorToWrite> tensors = tensors_of(part);
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorToWrite& a, const TensorToWrite& b) { return a.name < b.name; });
  Metadata metadata = metadata_of(part, fingerprint);
  ContentHash hash(metadata);
  for (const TensorToWrite& tensor : tensors) {
    hash.tensor(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
  }
  metadata["sha256"] = hash.hex();
  write_safetensors(path, std::move(tensors), metadata, true);
}

ProfilePart read_part_file(const std::filesystem::path& path, int64_t prompt, int64_t step,
                           const std::string& fingerprint) {
  return PartReader(path).read(prompt, step, fingerprint);
}

}  // namespace sparsescope
