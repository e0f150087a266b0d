#include "tune/plan_trial.h"

#include <fmt/format.h>

#include <memory>
#include <numeric>

#include "capture/dense_hook.h"
#include "sparse/sparse_executor.h"
#include "stats/intervals.h"
#include "validate/metrics.h"

namespace sparsescope {
namespace {

constexpr double kMillisecondsPerSecond = 1e3;

// A plan's attention, with the density of its calls added up.
class MeteredPlan : public AttentionHook {
 public:
  MeteredPlan(const Plan& plan, Impl impl, ThreadPool& pool) : hook_(plan, impl, pool) {}

  MemorySpace space() const override { return hook_.space(); }
  void attend(const AttentionCall& call) override {
    hook_.attend(call);
    const std::vector<double>& density = hook_.last_run().density;
    density_ = std::accumulate(density.begin(), density.end(), density_);
    heads_ += std::ssize(density);
  }

  double mean_density() const { return density_ / static_cast<double>(heads_); }
  double seconds() const { return hook_.selection_seconds() + hook_.attention_seconds(); }

 private:
  SparseHook hook_;
  double density_ = 0.0;
  int64_t heads_ = 0;
};

class Trials {
 public:
  Trials(const Denoiser& denoiser, const PromptSet& set, std::span<const Plan> plans, Impl impl,
         ThreadPool& pool)
      : denoiser_(denoiser), set_(set), dense_(impl, pool), trials_(plans.size()) {
    for (const Plan& plan : plans) {
      hooks_.push_back(std::make_unique<MeteredPlan>(plan, impl, pool));
    }
  }

  void start_prompt(int64_t prompt) {
    state_ = {};
    state_.latents = denoiser_.initial_noise(prompt);
    errors_.assign(hooks_.size(), {});
  }

  void step(int64_t prompt) {
    HostTensor output = compare_branch(prompt, Branch::kConditional);
    if (denoiser_.guided()) {
      output =
          denoiser_.guide(state_.next_step, output, compare_branch(prompt, Branch::kUnconditional));
    }
    denoiser_.scheduler().advance(state_, output);
  }

  void finish_prompt() {
    for (size_t i = 0; i < hooks_.size(); ++i) {
      trials_[i].error_of_prompt.push_back(mean_of(errors_[i]));
    }
  }

  std::vector<PlanTrial> take() {
    const double to_ms = kMillisecondsPerSecond / static_cast<double>(forwards_);
    for (size_t i = 0; i < hooks_.size(); ++i) {
      trials_[i].error = mean_of(trials_[i].error_of_prompt);
      trials_[i].density = hooks_[i]->mean_density();
      trials_[i].dense_ms = dense_.attention_seconds() * to_ms;
      trials_[i].sparse_ms = hooks_[i]->seconds() * to_ms;
    }
    return std::move(trials_);
  }

 private:
  HostTensor compare_branch(int64_t prompt, Branch branch) {
    HostTensor dense = denoiser_.predict(state_, set_, prompt, branch, dense_);
    for (size_t i = 0; i < hooks_.size(); ++i) {
      const HostTensor sparse = denoiser_.predict(state_, set_, prompt, branch, *hooks_[i]);
      errors_[i].push_back(rel_l2(dense.values, sparse.values));
    }
    ++forwards_;
    return dense;
  }

  const Denoiser& denoiser_;
  const PromptSet& set_;
  DenseHook dense_;
  std::vector<std::unique_ptr<MeteredPlan>> hooks_;
  std::vector<PlanTrial> trials_;
  TrajectoryState state_;
  std::vector<std::vector<double>> errors_;  // [plans] of the prompt at hand
  int64_t forwards_ = 0;
};

}  // namespace

std::vector<PlanTrial> try_plans(const Denoiser& denoiser, const PromptSet& set,
                                 std::span<const int64_t> prompts, std::span<const Plan> plans,
                                 Impl impl, ThreadPool& pool, const RunMonitor& monitor) {
  Trials trials(denoiser, set, plans, impl, pool);
  const auto steps = std::ssize(denoiser.scheduler().timesteps());
  int64_t done = 0;
  for (const int64_t prompt : prompts) {
    trials.start_prompt(prompt);
    for (int64_t step = 0; step < steps; ++step) {
      check_stop(monitor);
      trials.step(prompt);
      report_progress(monitor, ++done, std::ssize(prompts) * steps,
                      fmt::format("trying {} plans, prompt {} step {}/{}", plans.size(), prompt + 1,
                                  step + 1, steps));
    }
    trials.finish_prompt();
  }
  return trials.take();
}

}  // namespace sparsescope
