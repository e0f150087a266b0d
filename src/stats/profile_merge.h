// Joins profiles of disjoint sites into one: shards by prompts, steps or layers, and profiles of
// other prompts or seeds. The order of the profiles changes nothing, and profiles joined in parts
// give the same as all at once.
#pragma once

#include <filesystem>
#include <vector>

#include "stats/merge_manifest.h"
#include "stats/profile.h"
#include "stats/trajectory_id.h"

namespace sparsescope {

// Prompts that are the same trajectory (trajectory_id.h) become one; all stand in its canonical
// order. A site that two profiles recorded must hold the same bits in both. A statistic that a
// profile did not measure is NaN there, and another's values take its place.
class ProfileMerger {
 public:
  // file and sha256: where the profile comes from, for messages and the manifest. Error(kData)
  // names file, place, what was expected and what was found.
  void add(Profile profile, const std::string& file, const std::string& sha256);
  Profile take();  // at least one profile was added

 private:
  void check_extents(const Profile& profile, const std::string& file) const;
  void place_prompts(const std::vector<Trajectory>& trajectories);
  void join_array(const std::string& name, ProfileArray array,
                  const std::vector<int64_t>& prompt_of, const std::string& file);
  void join_maps(const Profile& profile, const std::vector<int64_t>& prompt_of,
                 const std::string& file);

  Profile joined_;
  std::vector<Trajectory> trajectories_;  // [prompts] of joined_
  ManifestJoin manifest_;
  std::string first_file_;  // empty: nothing was added
};

// Reads at least two files, one after the other. Error(kUsage) for fewer.
Profile merge_profiles(const std::vector<std::filesystem::path>& files);

}  // namespace sparsescope
