// Keeps what a run over trajectories was asked to keep whole: q, k, v of chosen calls, and what
// each prompt was sampled to.
#pragma once

#include <filesystem>
#include <memory>

#include "capture/record_hook.h"
#include "core/progress.h"
#include "model/codec.h"
#include "stats/kept_data.h"
#include "stats/profile_part.h"
#include "stats/profile_runner.h"
#include "stats/site_selection.h"

namespace sparsescope {

// The heads that are named, ascending.
std::vector<int64_t> heads_named(const SiteSelection& selection);

class RunKeeper {
 public:
  // Error(kUsage) where record asks for sites that the model does not have.
  explicit RunKeeper(const TrajectoryRun& run);

  const SiteSelection& calls() const { return calls_; }
  bool keeps_results() const { return keeps_results_; }
  // A note where the checkpoint cannot turn latents into a video.
  void note_missing_codec(const RunMonitor& monitor) const;

  // Keeps the chosen calls, and lets inner compute.
  RecordHook around(AttentionHook& inner) const;
  // What lies in the file of a finished step. The file must stay until the profile is written.
  void add_part(const std::filesystem::path& path, const ProfilePart& part);
  KeptData take();

 private:
  int64_t last_step_;
  SiteSelection calls_;
  bool keeps_results_;
  std::shared_ptr<const LinearCodec> codec_;  // null: the checkpoint has none
  KeptData kept_;
};

}  // namespace sparsescope
