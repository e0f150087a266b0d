// The recording side of a profile: dense attention with its statistics, and beside them the errors
// that the selections of all methods make on a sample of query tiles.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/profiling_hook.h"
#include "effects/selection_effects.h"

namespace sparsescope {

class SiteRecorder : public AttentionHook {
 public:
  // error_tiles: query tiles of every recorded call whose errors are measured; 0: none.
  SiteRecorder(ProfilingOptions options, int64_t error_tiles, Impl impl, ThreadPool& pool);

  MemorySpace space() const override { return profiling_.space(); }
  void attend(const AttentionCall& call) override;
  // The sites recorded since the last take, in the order of their calls. Batch must be 1.
  std::vector<SiteStatistics> take();
  double attention_seconds() const { return profiling_.attention_seconds() + error_seconds_; }

 private:
  ProfilingOptions options_;
  int64_t error_tiles_;
  ProfilingHook profiling_;
  SelectionEffects effects_;
  std::vector<std::vector<StatArray>> errors_;  // of each recorded call
  double error_seconds_ = 0.0;
};

// The query tiles of a call whose errors are measured.
std::vector<int32_t> error_tiles_of(const SiteKey& site, int64_t num_tiles, int64_t count,
                                    uint64_t seed);

}  // namespace sparsescope
