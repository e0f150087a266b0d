#include "validate/prompt_validation.h"

#include <fmt/format.h>

#include <utility>

#include "validate/metrics.h"
#include "validate/video_quality.h"

namespace sparsescope {
PromptValidation::PromptValidation(const ValidationRequest& request, const Denoiser& denoiser,
                                   const RunMonitor& monitor)
    : request_(request),
      denoiser_(denoiser),
      monitor_(monitor),
      compare_(request.plan, request.impl, request.pool),
      sparse_(request.plan, request.impl, request.pool),
      num_prompts_(std::ssize(request.prompts.names)),
      num_steps_(request.plan.num_steps) {
  if (request.folder.codec) codec_ = LinearCodec::open(*request.folder.codec);
}

PromptOutcome PromptValidation::run(int64_t prompt) {
  PromptOutcome outcome;
  HostTensor dense = run_dense(prompt, outcome);
  HostTensor sparse = run_with(sparse_, prompt, "sparse video");
  outcome.latent_rel_l2 = rel_l2(dense.values, sparse.values);
  outcome.latent = latent_quality(dense, sparse);
  if (codec_) outcome.pixel = pixel_quality(codec_->decode(dense), codec_->decode(sparse));
  outcome.sites = compare_.take_sites();
  if (request_.removal.layers) {
    outcome.layer_alone =
        run_alone(prompt, dense, request_.plan.model.layers, "layer", in_layer_alone);
  }
  if (request_.removal.steps) {
    outcome.step_alone = run_alone(prompt, dense, num_steps_, "step", in_step_alone);
  }
  if (!request_.videos.empty()) {
    outcome.dense_latents = std::move(dense);
    outcome.sparse_latents = std::move(sparse);
  }
  return outcome;
}

void PromptValidation::skip(int64_t prompt) {
  steps_done(trajectories() * num_steps_,
             fmt::format("prompt {}/{} was finished before", prompt + 1, num_prompts_));
}

TrajectoryState PromptValidation::start(int64_t prompt) const {
  TrajectoryState state;
  state.latents = request_.latents.empty() ? denoiser_.initial_noise(prompt)
                                           : request_.latents[static_cast<size_t>(prompt)];
  return state;
}

HostTensor PromptValidation::run_dense(int64_t prompt, PromptOutcome& outcome) {
  TrajectoryState state = start(prompt);
  for (int64_t step = 0; step < num_steps_; ++step) {
    check_stop(monitor_);
    HostTensor output = compare_branch(state, prompt, Branch::kConditional, outcome);
    if (denoiser_.guided()) {
      output = denoiser_.guide(step, output,
                               compare_branch(state, prompt, Branch::kUnconditional, outcome));
    }
    denoiser_.scheduler().advance(state, output);
    steps_done(1, place("dense trajectory", prompt, step));
  }
  return state.latents;
}

std::vector<double> PromptValidation::run_alone(int64_t prompt, const HostTensor& dense,
                                                int64_t count, const char* unit,
                                                Plan (*plan_of)(const Plan&, int64_t)) {
  std::vector<double> errors;
  for (int64_t i = 0; i < count; ++i) {
    const Plan plan = plan_of(request_.plan, i);
    SparseHook hook(plan, request_.impl, request_.pool);
    const HostTensor latents = run_with(hook, prompt, fmt::format("{} {} alone", unit, i));
    errors.push_back(rel_l2(dense.values, latents.values));
  }
  return errors;
}

HostTensor PromptValidation::run_with(AttentionHook& hook, int64_t prompt,
                                      const std::string& what) {
  TrajectoryState state = start(prompt);
  for (int64_t step = 0; step < num_steps_; ++step) {
    check_stop(monitor_);
    denoiser_.step(state, request_.prompts, prompt, hook);
    steps_done(1, place(what, prompt, step));
  }
  return state.latents;
}

// The dense output, with the plan measured beside it; the sparse output of the same call.
HostTensor PromptValidation::compare_branch(const TrajectoryState& state, int64_t prompt,
                                            Branch branch, PromptOutcome& outcome) {
  HostTensor dense = denoiser_.predict(state, request_.prompts, prompt, branch, compare_);
  outcome.times.push_back(compare_.take_times());
  const HostTensor sparse = denoiser_.predict(state, request_.prompts, prompt, branch, sparse_);
  outcome.output_rel_l2.push_back(rel_l2(dense.values, sparse.values));
  return dense;
}

void PromptValidation::steps_done(int64_t count, const std::string& what) {
  done_ += count;
  report_progress(monitor_, done_, trajectories() * num_prompts_ * num_steps_, what);
}

std::string PromptValidation::place(const std::string& run, int64_t prompt, int64_t step) const {
  return fmt::format("{}, prompt {}/{} step {}/{}", run, prompt + 1, num_prompts_, step + 1,
                     num_steps_);
}

int64_t PromptValidation::trajectories() const {
  return 2 + (request_.removal.layers ? request_.plan.model.layers : 0) +
         (request_.removal.steps ? num_steps_ : 0);
}

}  // namespace sparsescope
