#include "checkpoint/state_dict.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "checkpoint/mapped_file.h"
#include "checkpoint/printable.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/weight_files.h"
#include "core/error.h"
#include "core/sha256.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

// The tensors of a shard that the index does not list: legal, but worth a word.
std::optional<std::string> unlisted_warning(const SafetensorsFile& shard,
                                            const std::map<std::string, std::string>& shard_of) {
  constexpr size_t kListed = 10;
  std::vector<std::string> unlisted;
  size_t count = 0;
  for (const TensorInfo& tensor : shard.tensors()) {
    if (shard_of.contains(tensor.name)) continue;
    if (++count <= kListed) unlisted.push_back(printable(tensor.name));
  }
  if (count == 0) return std::nullopt;
  return fmt::format("{}: {} tensors are not in the index and are ignored: {}{}",
                     shard.path().string(), count, fmt::join(unlisted, ", "),
                     count > kListed ? ", ..." : "");
}

std::map<std::string, std::string> read_shard_index(const fs::path& path) {
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  SPARSESCOPE_CHECK(ErrorKind::kData, bytes.size() <= kMaxHeaderBytes,
                    "{}: expected at most {} bytes of index, found {}", path.string(),
                    kMaxHeaderBytes, bytes.size());
  return parse_shard_index({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                           path.string());
}

}  // namespace

StateDict StateDict::open(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  SPARSESCOPE_CHECK(ErrorKind::kData, fs::exists(status), "{}: there is no such file or folder",
                    path.string());
  StateDict result;
  result.path_ = path;
  WeightFiles weights;
  if (fs::is_directory(status)) {
    weights = find_weight_files(path);
  } else if (path.extension() == ".json") {
    weights.index = path;
  } else {
    weights.files = {path};
  }
  result.warnings_ = std::move(weights.warnings);
  if (weights.index) {
    result.add_indexed(*weights.index);
  } else {
    for (const fs::path& file : weights.files) result.add_whole_file(file);
  }
  return result;
}

size_t StateDict::open_file(const fs::path& path) {
  check_weight_format(path);
  opened_.push_back(SafetensorsFile::open(path));
  files_.push_back(path);
  return opened_.size() - 1;
}

void StateDict::add_whole_file(const fs::path& path) {
  const size_t file = open_file(path);
  for (const TensorInfo& tensor : opened_[file].tensors()) {
    const auto [earlier, is_new] = entries_.try_emplace(tensor.name, Entry{file, tensor.name});
    SPARSESCOPE_CHECK(ErrorKind::kData, is_new,
                      "{}: the tensor \"{}\" is in {} as well; expected files that belong together",
                      path.string(), printable(tensor.name),
                      files_[earlier->second.file].filename().string());
  }
}

void StateDict::add_indexed(const fs::path& index) {
  const std::map<std::string, std::string> shard_of = read_shard_index(index);
  std::map<std::string, size_t> file_of_shard;
  for (const auto& [tensor, shard] : shard_of) {
    const auto [place, is_new] = file_of_shard.try_emplace(shard);
    if (is_new) {
      const fs::path path = index.parent_path() / shard;
      SPARSESCOPE_CHECK(ErrorKind::kData, fs::exists(path),
                        "{}: the shard {} is missing; download it again", index.string(),
                        printable(shard));
      place->second = open_file(path);
      if (const auto warning = unlisted_warning(opened_.back(), shard_of)) {
        warnings_.push_back(*warning);
      }
    }
    SPARSESCOPE_CHECK(ErrorKind::kData, opened_[place->second].find(tensor) != nullptr,
                      "{}: tensor \"{}\": expected in {}, which does not hold it", index.string(),
                      printable(tensor), printable(shard));
    entries_.emplace(tensor, Entry{place->second, tensor});
  }
}

bool StateDict::contains(const std::string& name) const { return entries_.contains(name); }

const StateDict::Entry& StateDict::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  SPARSESCOPE_CHECK(ErrorKind::kData, found != entries_.end(),
                    "{}: expected a tensor \"{}\", found none", path_.string(), printable(name));
  return found->second;
}

const TensorInfo& StateDict::info(const std::string& name) const {
  const Entry& where = entry(name);
  return *opened_[where.file].find(where.stored_name);
}

std::vector<std::string> StateDict::names() const {
  std::vector<std::string> all;
  for (const auto& [name, where] : entries_) all.push_back(name);
  return all;
}

StoredTensor StateDict::fetch(const std::string& name,
                              const std::vector<int64_t>& expected_shape) const {
  const Entry& where = entry(name);
  StoredTensor tensor = opened_[where.file].fetch(where.stored_name);
  SPARSESCOPE_CHECK(ErrorKind::kData, tensor.shape == expected_shape,
                    "{}: {}: expected {}, found {} {}", files_[where.file].string(),
                    printable(name), shape_to_string(expected_shape), dtype_name(tensor.dtype),
                    shape_to_string(tensor.shape));
  mark_used(name);
  return tensor;
}

void StateDict::mark_used(const std::string& name) const { used_.insert(name); }

std::vector<std::string> StateDict::unused() const {
  std::vector<std::string> left = names();
  std::erase_if(left, [&](const std::string& name) { return used_.contains(name); });
  return left;
}

void StateDict::rename(const std::function<std::string(const std::string&)>& rename) {
  std::map<std::string, Entry> renamed;
  std::set<std::string> used;
  size_t skipped = 0;
  for (const auto& [name, where] : entries_) {
    const std::string target = rename(name);
    if (target.empty()) {
      ++skipped;
      continue;
    }
    const auto [earlier, is_new] = renamed.try_emplace(target, where);
    SPARSESCOPE_CHECK(ErrorKind::kData, is_new, "{}: the tensors \"{}\" and \"{}\" are both \"{}\"",
                      path_.string(), printable(earlier->second.stored_name),
                      printable(where.stored_name), printable(target));
    if (used_.contains(name)) used.insert(target);
  }
  if (skipped > 0) {
    warnings_.push_back(fmt::format("{}: {} tensors that are no part of the model were skipped",
                                    path_.string(), skipped));
  }
  entries_ = std::move(renamed);
  used_ = std::move(used);
}

uint64_t StateDict::total_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, where] : entries_) {
    total += opened_[where.file].find(where.stored_name)->bytes();
  }
  return total;
}

std::string StateDict::content_hash() const {
  std::vector<std::pair<std::string, std::string>> hashes;
  for (const fs::path& file : files_) {
    hashes.emplace_back(file.filename().string(), sha256_file(file));
  }
  std::sort(hashes.begin(), hashes.end());
  Sha256 hash;
  for (const auto& [name, digest] : hashes) {
    const std::string line = fmt::format("{} {}\n", digest, name);
    hash.update(line.data(), line.size());
  }
  return hash.hex();
}

}  // namespace sparsescope
