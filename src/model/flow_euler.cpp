#include "model/flow_euler.h"

#include "model/scheduler_math.h"

namespace sparsescope {
namespace {

class FlowEuler : public Scheduler {
 public:
  FlowEuler(int64_t steps, double shift, int64_t train_timesteps) : shift_(shift) {
    // The range comes from the training grid in fp32, as in the reference.
    const float last = 1.0f / static_cast<float>(train_timesteps);
    const auto shift_f32 = static_cast<float>(shift);
    const double sigma_min = shift_f32 * last / (1.0f + (shift_f32 - 1.0f) * last);
    for (int64_t i = 0; i < steps; ++i) {
      const double sigma = shift_sigma(shift, linspace(1.0, sigma_min, steps, i));
      sigmas_.push_back(round_to_f32(sigma));
      timesteps_.push_back(round_to_f32(sigmas_.back() * static_cast<double>(train_timesteps)));
    }
    sigmas_.push_back(0.0);
  }

  std::string name() const override { return "flow-euler"; }
  double shift() const override { return shift_; }
  const std::vector<double>& timesteps() const override { return timesteps_; }
  const std::vector<double>& sigmas() const override { return sigmas_; }

  // x' = x + (s_{i+1} - s_i) * v
  void advance(TrajectoryState& state, const HostTensor& model_output) const override {
    const auto i = static_cast<size_t>(checked_step(*this, state, model_output));
    const float delta = static_cast<float>(sigmas_[i + 1]) - static_cast<float>(sigmas_[i]);
    std::vector<float>& x = state.latents.values;
    for (size_t e = 0; e < x.size(); ++e) x[e] += delta * model_output.values[e];
    ++state.next_step;
  }

 private:
  double shift_;
  std::vector<double> timesteps_;  // [n]
  std::vector<double> sigmas_;     // [n + 1]
};

}  // namespace

std::unique_ptr<Scheduler> make_flow_euler(int64_t steps, double shift, int64_t train_timesteps) {
  return std::make_unique<FlowEuler>(steps, shift, train_timesteps);
}

}  // namespace sparsescope
