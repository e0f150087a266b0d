#include "stats/profile_part.h"

#include <cstdio>
#include <map>

#include "core/error.h"
#include "core/json_io.h"
#include "stats/hashed_tensors.h"
#include "stats/kept_part.h"

namespace sparsescope {
namespace {

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

Metadata identity_of(int64_t prompt, int64_t step, const std::string& fingerprint) {
  return {{"fingerprint", fingerprint},
          {"prompt", std::to_string(prompt)},
          {"step", std::to_string(step)}};
}

Metadata metadata_of(const ProfilePart& part, const std::string& fingerprint) {
  Json axes = Json::object();
  for (const SiteStatistics& site : part.sites) {
    for (const StatArray& array : site.arrays) axes[array.name] = array.axes;
  }
  Metadata metadata = identity_of(part.prompt, part.step, fingerprint);
  metadata["next_step"] = std::to_string(part.state.next_step);
  metadata["seconds"] = fmt::format("{}", part.seconds);
  metadata["axes"] = axes.dump();
  return metadata;
}

class PartReader {
 public:
  PartReader(const std::filesystem::path& path, const Metadata& identity)
      : file_(open_hashed_tensors(path, identity)), name_(path.string()) {}

  ProfilePart read(int64_t prompt, int64_t step) {
    part_.prompt = prompt;
    part_.step = step;
    part_.state.next_step = std::stoll(metadata_text(file_, "next_step"));
    part_.seconds = std::stod(metadata_text(file_, "seconds"));
    axes_ = parse_json(metadata_text(file_, "axes"), name_ + ": axes");
    for (const std::string& name : sorted_tensor_names(file_)) take(name);
    for (auto& [key, site] : sites_) part_.sites.push_back(std::move(site));
    return std::move(part_);
  }

 private:
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
    if (is_call_tensor(name)) return;
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
  Metadata metadata = metadata_of(part, fingerprint);
  add_call_tensors(part.calls, tensors, metadata);
  write_hashed_tensors(path, std::move(tensors), std::move(metadata));
}

ProfilePart read_part_file(const std::filesystem::path& path, int64_t prompt, int64_t step,
                           const std::string& fingerprint) {
  return PartReader(path, identity_of(prompt, step, fingerprint)).read(prompt, step);
}

}  // namespace sparsescope
