#include "validate/prompt_validation.h"

#include <fmt/format.h>

#include "validate/metrics.h"
#include "validate/video_quality.h"

namespace sparsescope {
namespace {

constexpr int64_t kTrajectories = 2;  // dense and sparse, of every prompt

}  // namespace

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
  const HostTensor dense = run_dense(prompt, outcome);
  const HostTensor sparse = run_sparse(prompt);
  outcome.latent = latent_quality(dense, sparse);
  if (codec_) outcome.pixel = pixel_quality(codec_->decode(dense), codec_->decode(sparse));
  outcome.sites = compare_.take_sites();
  return outcome;
}

void PromptValidation::skip(int64_t prompt) {
  steps_done(kTrajectories * num_steps_,
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

HostTensor PromptValidation::run_sparse(int64_t prompt) {
  TrajectoryState state = start(prompt);
  for (int64_t step = 0; step < num_steps_; ++step) {
    check_stop(monitor_);
    denoiser_.step(state, request_.prompts, prompt, sparse_);
    steps_done(1, place("sparse video", prompt, step));
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
  report_progress(monitor_, done_, kTrajectories * num_prompts_ * num_steps_, what);
}

std::string PromptValidation::place(const char* run, int64_t prompt, int64_t step) const {
  return fmt::format("{}, prompt {}/{} step {}/{}", run, prompt + 1, num_prompts_, step + 1,
                     num_steps_);
}

}  // namespace sparsescope
