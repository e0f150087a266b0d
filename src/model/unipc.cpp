#include "model/unipc.h"

#include <algorithm>
#include <cmath>

#include "model/scheduler_math.h"

namespace sparsescope {
namespace {

constexpr int64_t kOrder = 2;

// What TrajectoryState carries between steps.
//   history   m0, m1 (x0 predictions, newest first; m1 only from the second step on), last sample
//   counters  order of the last prediction, number of steps that count for warming up
struct Memory {
  const std::vector<float>* m0 = nullptr;
  const std::vector<float>* m1 = nullptr;
  const std::vector<float>* last_sample = nullptr;
  int64_t last_order = 0;
  int64_t lower_orders = 0;
};

Memory read_memory(const TrajectoryState& state) {
  if (state.next_step == 0) return {};
  const size_t expected = state.next_step == 1 ? 2 : 3;
  SPARSESCOPE_CHECK(
      ErrorKind::kData, state.history.size() == expected && state.counters.size() == 2,
      "trajectory at step {}: expected {} tensors and 2 counters of history, found {} "
      "and {}",
      state.next_step, expected, state.history.size(), state.counters.size());
  return {.m0 = &state.history[0].values,
          .m1 = expected == 3 ? &state.history[1].values : nullptr,
          .last_sample = &state.history.back().values,
          .last_order = state.counters[0],
          .lower_orders = state.counters[1]};
}

class UniPc : public Scheduler {
 public:
  UniPc(int64_t steps, double shift, int64_t train_timesteps) : shift_(shift) {
    const auto train = static_cast<double>(train_timesteps);
    for (int64_t i = 0; i < steps; ++i) {
      double sigma = shift_sigma(shift, linspace(1.0, 1.0 / train, steps + 1, i));
      // lambda is infinite at sigma 1
      constexpr double kEps = 1e-6;
      if (i == 0 && std::abs(sigma - 1.0) < kEps) sigma -= kEps;
      timesteps_.push_back(std::trunc(train * sigma));
      sigmas_.push_back(round_to_f32(sigma));
    }
    sigmas_.push_back(0.0);
  }

  std::string name() const override { return "unipc"; }
  double shift() const override { return shift_; }
  const std::vector<double>& timesteps() const override { return timesteps_; }
  const std::vector<double>& sigmas() const override { return sigmas_; }

  void advance(TrajectoryState& state, const HostTensor& model_output) const override {
    const int64_t i = checked_step(*this, state, model_output);
    const Memory memory = read_memory(state);
    const auto steps = static_cast<int64_t>(timesteps_.size());
    const int64_t order = std::min({kOrder, steps - i, memory.lower_orders + 1});

    std::vector<float> x = state.latents.values;
    const std::vector<float> m = predict_x0(i, x, model_output.values);
    if (i > 0) x = correct(i, memory, m);
    std::vector<float> next = predict(i, order, x, m, memory.m0);

    std::vector<HostTensor> history;
    history.push_back({state.latents.shape, m});
    if (i > 0) history.push_back(state.history[0]);
    history.push_back({state.latents.shape, std::move(x)});
    state.history = std::move(history);
    state.counters = {order, std::min(kOrder, memory.lower_orders + 1)};
    state.latents.values = std::move(next);
    ++state.next_step;
  }

 private:
  double sigma(int64_t i) const { return sigmas_[static_cast<size_t>(i)]; }
  double lambda(int64_t i) const { return std::log1p(-sigma(i)) - std::log(sigma(i)); }

  // m = x - s_i * v
  std::vector<float> predict_x0(int64_t i, const std::vector<float>& x,
                                const std::vector<float>& v) const {
    std::vector<float> m(x.size());
    for (size_t e = 0; e < x.size(); ++e) m[e] = static_cast<float>(x[e] - sigma(i) * v[e]);
    return m;
  }

  // The sample of step i again, now that the model was evaluated there.
  std::vector<float> correct(int64_t i, const Memory& memory, const std::vector<float>& m) const {
    const double h = lambda(i) - lambda(i - 1);
    const double E = std::expm1(-h);
    const double keep = sigma(i) / sigma(i - 1);
    const double a = (1.0 - sigma(i)) * E;
    const bool second = memory.last_order == kOrder;
    double rho1 = 0.0, rho2 = 0.5;
    if (second) {
      const double r = (lambda(i - 2) - lambda(i - 1)) / h;
      const double hh = -h;
      const double b1 = (E / hh - 1.0) / E;
      const double b2 = 2.0 * ((E / hh - 1.0) / hh - 0.5) / E;
      const double rho = (b1 - b2) / (1.0 - r);
      rho1 = rho / r;
      rho2 = b1 - rho;
    }
    std::vector<float> x(m.size());
    for (size_t e = 0; e < m.size(); ++e) {
      const double m0 = (*memory.m0)[e];
      const double older = second ? rho1 * ((*memory.m1)[e] - m0) : 0.0;
      x[e] = static_cast<float>(keep * (*memory.last_sample)[e] -
                                a * (m0 + older + rho2 * (m[e] - m0)));
    }
    return x;
  }

  // From step i to i + 1; m0 the newest x0 prediction, m1 the one before it.
  std::vector<float> predict(int64_t i, int64_t order, const std::vector<float>& x,
                             const std::vector<float>& m0, const std::vector<float>* m1) const {
    if (sigma(i + 1) == 0.0) return m0;  // lambda is infinite; the limit is m0
    const double h = lambda(i + 1) - lambda(i);
    const double keep = sigma(i + 1) / sigma(i);
    const double a = (1.0 - sigma(i + 1)) * std::expm1(-h);
    const bool second = order == kOrder;
    const double half_slope = second ? 0.5 * h / (lambda(i - 1) - lambda(i)) : 0.0;
    std::vector<float> next(x.size());
    for (size_t e = 0; e < x.size(); ++e) {
      const double slope = second ? half_slope * ((*m1)[e] - m0[e]) : 0.0;
      next[e] = static_cast<float>(keep * x[e] - a * (m0[e] + slope));
    }
    return next;
  }

  double shift_;
  std::vector<double> timesteps_;  // [n] whole numbers
  std::vector<double> sigmas_;     // [n + 1]
};

}  // namespace

std::unique_ptr<Scheduler> make_unipc(int64_t steps, double shift, int64_t train_timesteps) {
  return std::make_unique<UniPc>(steps, shift, train_timesteps);
}

}  // namespace sparsescope
