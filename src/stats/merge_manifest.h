// The manifest of a joined profile: the settings that all its sources share, and each source with
// what it alone has. Joining is commutative and associative, text for text.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json_io.h"
#include "stats/trajectory_id.h"

namespace sparsescope {

// Settings of a manifest that decide what a profile's numbers mean: profiles that differ in one of
// them are not joined. What was recorded, where and when may differ.
const std::vector<std::string>& joint_settings();

class ManifestJoin {
 public:
  // The manifest of one more profile, read from file. Error(kData) names the first joint setting
  // that differs, both values and both files.
  void add(const Json& manifest, const std::string& file, const std::string& sha256);

  // joint settings; prompts; whatever else all sources agree on; and
  //   sources       each profile that was sampled: file, sha256 and its own settings, by sha256
  //   seconds       of all sources
  //   command_line  of one merge of all sources
  Json take(const std::vector<Trajectory>& trajectories) const;

 private:
  void check_joint(const Json& manifest, const std::string& file) const;
  void check_effects(const Json& source, const std::string& file) const;
  void add_source(const Json& source, const std::string& file);

  Json joint_;  // of the first profile
  std::string first_file_;
  std::vector<Json> sources_;  // by sha256, each once
};

}  // namespace sparsescope
