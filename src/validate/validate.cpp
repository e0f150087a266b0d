#include "validate/validate.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "model/codec.h"
#include "sparse/sparse_executor.h"
#include "validate/compare_hook.h"
#include "validate/metrics.h"
#include "validate/summary.h"
#include "validate/video_quality.h"

namespace sparsescope {
namespace {

// Plans of captured q, k, v name no family.
constexpr std::string_view kCapturedFamily = "captured";

void check_model(const Plan::Model& plan, const ModelInfo& info, const RunMonitor& monitor) {
  const auto check = [](const char* what, int64_t expected, int64_t found) {
    SPARSESCOPE_CHECK(ErrorKind::kData, expected == found,
                      "plan: /model/{}: expected the checkpoint's {}, found {}", what, found,
                      expected);
  };
  SPARSESCOPE_CHECK(ErrorKind::kData, plan.family == info.family || plan.family == kCapturedFamily,
                    "plan: /model/family: expected the checkpoint's {}, found {}", info.family,
                    plan.family);
  check("layers", plan.layers, info.layers);
  check("heads", plan.heads, info.heads);
  check("head_dim", plan.head_dim, info.head_dim);
  if (plan.checkpoint_hash != info.checkpoint_hash) {
    report_note(monitor,
                "the plan was made from another checkpoint of this shape (its hash differs)");
  }
}

void check_options(const ValidationRequest& request, const Denoiser& denoiser) {
  const Plan& plan = request.plan;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, denoiser.token_grid() == plan.grid,
                    "--grid, --video: expected the plan's grid {}, found {}", to_string(plan.grid),
                    to_string(denoiser.token_grid()));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.sampling.steps == plan.num_steps,
                    "--steps: expected the plan's {}, found {}", plan.num_steps,
                    request.sampling.steps);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !request.prompts.names.empty(),
                    "validate: expected at least one prompt");
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      request.latents.empty() || request.latents.size() == request.prompts.names.size(),
      "--latents: expected one for each of {} prompts, found {}", request.prompts.names.size(),
      request.latents.size());
  for (const Requirement& requirement : request.requirements) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage,
                      request.folder.codec || !requirement.name.ends_with("_pixel"),
                      "--require {}: this checkpoint has no codec, so that there are no pixels",
                      requirement.name);
  }
  for (const HostTensor& latents : request.latents) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, latents.shape == request.sampling.latent_shape,
                      "--latents: expected {}, found {}",
                      shape_to_string(request.sampling.latent_shape),
                      shape_to_string(latents.shape));
  }
}

SamplingRecord sampling_record(const SamplingOptions& sampling, const Denoiser& denoiser) {
  return {.steps = sampling.steps,
          .guidance = denoiser.guided() ? sampling.guidance : 1.0,
          .scheduler = denoiser.scheduler().name(),
          .shift = denoiser.scheduler().shift(),
          .seed = sampling.seed,
          .grid = denoiser.token_grid()};
}

// Units of progress: the steps of both trajectories of every prompt.
class Progress {
 public:
  Progress(const RunMonitor& monitor, int64_t total) : monitor_(monitor), total_(total) {}
  void step_done(const std::string& what) {
    report_progress(monitor_, ++done_, total_, what);
    check_stop(monitor_);
  }

 private:
  const RunMonitor& monitor_;
  int64_t total_, done_ = 0;
};

class Validation {
 public:
  Validation(const ValidationRequest& request, const Denoiser& denoiser, const RunMonitor& monitor)
      : request_(request),
        denoiser_(denoiser),
        compare_(request.plan, request.impl, request.pool),
        sparse_(request.plan, request.impl, request.pool),
        num_prompts_(static_cast<int64_t>(request.prompts.names.size())),
        progress_(monitor, 2 * num_prompts_ * request.plan.num_steps) {
    if (request.folder.codec) codec_ = LinearCodec::open(*request.folder.codec);
  }

  PromptOutcome run_prompt(int64_t prompt) {
    PromptOutcome outcome;
    const HostTensor dense = run_dense(prompt, outcome);
    const HostTensor sparse = run_sparse(prompt);
    outcome.latent = latent_quality(dense, sparse);
    if (codec_) outcome.pixel = pixel_quality(codec_->decode(dense), codec_->decode(sparse));
    outcome.sites = compare_.take_sites();
    return outcome;
  }

 private:
  TrajectoryState start(int64_t prompt) const {
    TrajectoryState state;
    state.latents = request_.latents.empty() ? denoiser_.initial_noise(prompt)
                                             : request_.latents[static_cast<size_t>(prompt)];
    return state;
  }

  std::string place(const char* run, int64_t prompt, int64_t step) const {
    return fmt::format("{}, prompt {}/{} step {}/{}", run, prompt + 1, num_prompts_, step + 1,
                       request_.plan.num_steps);
  }

  // The dense output, with the plan measured beside it; the sparse output of the same call.
  HostTensor compare_branch(const TrajectoryState& state, int64_t prompt, Branch branch,
                            PromptOutcome& outcome) {
    HostTensor dense = denoiser_.predict(state, request_.prompts, prompt, branch, compare_);
    outcome.times.push_back(compare_.take_times());
    const HostTensor sparse = denoiser_.predict(state, request_.prompts, prompt, branch, sparse_);
    outcome.output_rel_l2.push_back(rel_l2(dense.values, sparse.values));
    return dense;
  }

  HostTensor run_dense(int64_t prompt, PromptOutcome& outcome) {
    TrajectoryState state = start(prompt);
    for (int64_t step = 0; step < request_.plan.num_steps; ++step) {
      HostTensor output = compare_branch(state, prompt, Branch::kConditional, outcome);
      if (denoiser_.guided()) {
        output =
            denoiser_.guide(output, compare_branch(state, prompt, Branch::kUnconditional, outcome));
      }
      denoiser_.scheduler().advance(state, output);
      progress_.step_done(place("dense trajectory", prompt, step));
    }
    return state.latents;
  }

  HostTensor run_sparse(int64_t prompt) {
    TrajectoryState state = start(prompt);
    for (int64_t step = 0; step < request_.plan.num_steps; ++step) {
      denoiser_.step(state, request_.prompts, prompt, sparse_);
      progress_.step_done(place("sparse video", prompt, step));
    }
    return state.latents;
  }

  const ValidationRequest& request_;
  const Denoiser& denoiser_;
  CompareHook compare_;
  SparseHook sparse_;
  int64_t num_prompts_;
  Progress progress_;
  std::optional<LinearCodec> codec_;
};

}  // namespace

ValidationReport run_validation(const ValidationRequest& request, const RunMonitor& monitor) {
  check_model(request.plan.model, request.model.info(), monitor);
  const Denoiser denoiser(request.model, request.folder, request.sampling);
  check_options(request, denoiser);
  Validation validation(request, denoiser, monitor);
  std::vector<PromptOutcome> outcomes;
  for (size_t prompt = 0; prompt < request.prompts.names.size(); ++prompt) {
    outcomes.push_back(validation.run_prompt(static_cast<int64_t>(prompt)));
  }

  ValidationReport report;
  report.plan_hash = request.plan_hash;
  report.checkpoint_hash = request.model.info().checkpoint_hash;
  report.prompts = request.prompts.names;
  report.sampling = sampling_record(request.sampling, denoiser);
  for (const PromptOutcome& outcome : outcomes) {
    report.sites.insert(report.sites.end(), outcome.sites.begin(), outcome.sites.end());
  }
  report.summary = summarize(outcomes, kReportConfidence);
  report.requirements = judge(request.requirements, report.summary);
  return report;
}

}  // namespace sparsescope
