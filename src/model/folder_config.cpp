#include "model/folder_config.h"

#include "core/error.h"

namespace sparsescope {

FolderConfig::FolderConfig(const std::filesystem::path& folder, const std::string& class_name)
    : path_(folder / "config.json"), json_(read_json_file(path_)) {
  SPARSESCOPE_CHECK(ErrorKind::kData, json_.is_object(), "{}: expected an object", path_.string());
  const auto it = json_.find("_class_name");
  const std::string found = it == json_.end() ? "none" : it->dump();
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, found == '"' + class_name + '"',
                    "{}: _class_name: only {} is supported, found {}", path_.string(), class_name,
                    found);
}

int64_t FolderConfig::positive(const std::string& key) const {
  const auto it = json_.find(key);
  const bool good = it != json_.end() && it->is_number_integer() && it->get<int64_t>() > 0 &&
                    it->get<int64_t>() < (int64_t{1} << 31);
  SPARSESCOPE_CHECK(ErrorKind::kData, good, "{}: {}: expected a positive integer, found {}",
                    path_.string(), key, it == json_.end() ? "none" : it->dump());
  return it->get<int64_t>();
}

}  // namespace sparsescope
