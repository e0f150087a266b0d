// What every tuning run begins with: the loaded model, prompts dealt into those to derive from, to
// check on and to judge by, and the folder of what is finished so far.
#pragma once

#include <string>

#include "core/progress.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/denoiser.h"
#include "stats/parts_folder.h"
#include "stats/profile.h"
#include "stats/sampling_request.h"
#include "tune/prompt_split.h"
#include "tune/tune.h"

namespace sparsescope {

class TuneSession {
 public:
  // partitions: of the profiles, as in parse_partitions. run: settings of the run beside those that
  // all have; both decide whether finished parts are used.
  TuneSession(const TuneRequest& request, std::string partitions, Json run,
              const RunMonitor& monitor);

  // Measured now, or by an earlier start. around: a finished plan in the folder, in force while
  // effects, and only these, are measured; empty: all statistics, and effects around dense
  // attention.
  Profile profile(const std::string& name, const std::string& around = "");
  // What the evidence of a plan derived from the base profile says of it.
  Json source(const std::string& profile) const;

  const TuneRequest& request() const { return request_; }
  const RunMonitor& monitor() const { return monitor_; }
  const LoadedSampling& loaded() const { return loaded_; }
  VideoTransformer& model() { return *loaded_.model; }
  const PromptSplit& split() const { return split_; }
  const PromptSet& heldout() const { return heldout_; }
  const Denoiser& denoiser() const { return denoiser_; }
  const PartsFolder& parts() const { return parts_; }
  Impl impl() const { return impl_; }
  ThreadPool& pool() { return pool_; }
  const std::string& precision() const { return precision_; }

 private:
  PromptSet read_heldout() const;
  Json settings(Json run) const;

  const TuneRequest& request_;
  std::string partitions_;
  const RunMonitor& monitor_;
  LoadedSampling loaded_;
  bool heldout_apart_;
  PromptSplit split_;
  PromptSet heldout_;
  Impl impl_;
  std::string precision_;
  ThreadPool pool_;
  Denoiser denoiser_;
  PartsFolder parts_;
};

}  // namespace sparsescope
