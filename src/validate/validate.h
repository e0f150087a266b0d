// Runs a plan with the real sparse kernels on prompts and judges it against dense attention:
//   (a) every attention call of the dense trajectory, dense and sparse on the same q, k, v; and the
//       model's output at the same latents with the plan at every site;
//   (b) the whole sampled video with sparse attention against the dense one from the same noise;
//   (c) the time of attention;
//   (d) where asked for, the sampled video with the plan in one layer or step alone.
#pragma once

#include <string>
#include <vector>

#include "core/progress.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/denoiser.h"
#include "plan/plan.h"
#include "stats/parts_folder.h"
#include "validate/removal.h"
#include "validate/report.h"

namespace sparsescope {

struct ValidationRequest {
  const CheckpointFolder& folder;
  VideoTransformer& model;
  const Plan& plan;
  std::string plan_hash;
  const PromptSet& prompts;
  SamplingOptions sampling;         // steps and latent shape must be the plan's
  std::vector<HostTensor> latents;  // initial noise of each prompt; empty: drawn from the seed
  std::vector<Requirement> requirements;
  Impl impl;
  ThreadPool& pool;
  std::string precision;  // "fp32", "bf16": compute type of the model
  OutputOptions out;
  std::filesystem::path videos = {};  // HDF5 beside the report (videos_file.h); empty: none
  RemovalUnits removal = {};
};

// The answer before any work is done: Error(kUsage) where an output exists and is not to be
// replaced.
void check_validation_outputs(const OutputOptions& out, const std::filesystem::path& videos);

// Confidence of the intervals over prompts.
inline constexpr double kReportConfidence = 0.95;

// The report stands whole at the end; until then finished prompts stand in its parts folder, and
// the same request goes on from there. Error(kData) where plan and checkpoint contradict,
// Error(kUsage) where the options do or the folder is of another run, Error(kInterrupted) where the
// monitor asks to stop, between two steps.
ValidationReport run_validation(const ValidationRequest& request, const RunMonitor& monitor);

}  // namespace sparsescope
