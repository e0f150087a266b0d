// What a run has finished so far: RUN.h5.parts/ holds run.json (the settings that decide the
// numbers) and one hashed safetensors file per (prompt, step), written atomically, with the raw
// statistics and the trajectory's state behind the step. A run that stops at any moment goes on
// from there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "capture/site_statistics.h"
#include "core/json_io.h"
#include "core/progress.h"
#include "model/scheduler.h"
#include "stats/profile.h"

namespace sparsescope {

struct ProfilePart {
  int64_t prompt = 0;
  int64_t step = 0;
  std::vector<SiteStatistics> sites;  // all branches and recorded layers of the step
  TrajectoryState state;              // after the step
  double seconds = 0;                 // spent on the step
};

enum class ExistingParts {
  kResume,   // go on; a folder of another run is Error(kUsage)
  kReplace,  // go on, but a folder of another run is thrown away
  kDiscard,  // begin anew
};

class PartsFolder {
 public:
  // run: every setting that decides a number, by name. Makes the folder where there is none.
  PartsFolder(std::filesystem::path folder, const Json& run, ExistingParts existing);

  // The part, or nothing where it is missing. A damaged one counts as missing, with a note.
  std::optional<ProfilePart> read(int64_t prompt, int64_t step, const RunMonitor& monitor) const;
  void write(const ProfilePart& part) const;
  // Writes the profile inside the folder, moves it to its place whole, and removes the folder: a
  // stop at any moment leaves either the parts or the profile.
  void publish(const Profile& profile, const std::filesystem::path& path, bool replace) const;

  const std::string& fingerprint() const { return fingerprint_; }  // SHA-256 of run
  const std::string& started() const { return started_; }          // UTC, of the first start

 private:
  std::filesystem::path folder_;
  std::string fingerprint_;
  std::string started_;
};

// RUN.h5.parts beside RUN.h5.
std::filesystem::path parts_folder_of(const std::filesystem::path& profile);
std::string run_fingerprint(const Json& run);

}  // namespace sparsescope
