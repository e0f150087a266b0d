// The config.json of a part of a checkpoint that this program defines itself (text encoder, codec).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/json_io.h"

namespace sparsescope {

class FolderConfig {
 public:
  // Error(kData) where folder/config.json is missing or broken, Error(kUnsupported) where its class
  // is another one.
  FolderConfig(const std::filesystem::path& folder, const std::string& class_name);

  int64_t positive(const std::string& key) const;  // Error(kData) names file, key and value

 private:
  std::filesystem::path path_;
  Json json_;
};

}  // namespace sparsescope
