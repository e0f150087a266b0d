#include "tune/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"
#include "derive/plan_cost.h"
#include "stats/intervals.h"
#include "tune/model_costs.h"
#include "tune/trial_json.h"
#include "tune/tune_session.h"
#include "validate/validate.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

// A target counts as met closely enough when this share of it is used: further rounds would gain
// less density than prompts differ by.
constexpr double kUsedEnough = 0.95;
constexpr double kAim = 0.98;   // repairs aim so much below: settings are whole tiles
constexpr double kMeets = 0.8;  // confidence that a plan's error lies below the target
// What one measurement may change of the costs.
constexpr double kLeastRescale = 0.5, kMostRescale = 2.0;

Json settings_of(const TuneRequest& request) {
  Json settings = {{"method", to_string(request.method)},
                   {"target", to_string(request.target)},
                   {"rounds", request.rounds}};
  if (request.costs) settings["costs"] = run_fingerprint(costs_to_json(*request.costs));
  if (request.measure_costs) settings["costs"] = "measured";
  return settings;
}

// To four digits, as people read it. value > 0.
double rounded(double value) {
  const double scale = std::pow(10.0, 3.0 - std::floor(std::log10(value)));
  return std::round(value * scale) / scale;
}

// By what the predicted time of the sparse sites was missed.
double rescale_of(const Plan& plan, const PlanTrial& trial) {
  const auto sites = static_cast<double>(plan.num_steps * plan.model.layers * plan.model.heads);
  const double dense = 1.0 - static_cast<double>(num_sparse_sites(plan)) / sites;
  const double foretold = 1.0 / plan.expected_speedup->mean - dense;
  const double found = 1.0 / trial.speedup() - dense;
  return std::clamp(found / foretold, kLeastRescale, kMostRescale);
}

class Tuner {
 public:
  Tuner(const TuneRequest& request, const RunMonitor& monitor)
      : request_(request),
        session_(request, request.method == Method::kVmoba ? request.partitions : "none",
                 settings_of(request), monitor) {}

  TuneResult run() {
    find_costs();
    const Profile base = session_.profile(kBase);
    const double aim = by_speed() ? rounded(request_.target.value / kAim) : request_.target.value;
    // What does not pay stays as it is.
    if (add_plan(base, nullptr, aim, kDenseEffects).method != Method::kDense) repair(base, aim);
    choose();
    finish_plan();
    judge_heldout();
    publish();
    return std::move(result_);
  }

 private:
  static constexpr const char* kBase = "base.h5";
  static constexpr const char* kCosts = "costs.json";
  static constexpr const char* kDenseEffects = "effects around dense attention";

  bool by_error() const { return request_.target.kind == TargetKind::kError; }
  bool by_speed() const { return request_.target.kind == TargetKind::kSpeedup; }

  void find_costs() {
    costs_ = request_.costs;
    if (!request_.measure_costs) return;
    costs_ = session_.parts().read(kCosts, session_.monitor(), read_costs);
    if (costs_) return;
    costs_ = measure_model_costs(session_);
    write_costs(session_.parts().path_of(kCosts), *costs_, true);
  }

  // Again around the first plan; then what does better is repaired: what was foretold and what was
  // found differ by a factor that changes little with the aim.
  void repair(const Profile& base, double aim) {
    const std::string first = result_.tried.front().name;
    const Profile refined = session_.profile("around_" + first + ".h5", first + ".json");
    add_plan(base, &refined, aim, "effects around " + first);
    size_t last = does_better(1, 0) ? 1 : 0;
    const Profile* effects = last == 1 ? &refined : nullptr;
    const std::string how = last == 1 ? "effects around " + first : kDenseEffects;
    while (!met_closely(result_.tried[last].trial) && std::ssize(result_.tried) < request_.rounds) {
      const PlanTrial& found = result_.tried[last].trial;
      if (by_speed()) {
        const Plan plan = read_plan(session_.parts().path_of(result_.tried[last].name + ".json"));
        costs_ = scaled(*costs_, rescale_of(plan, found));
      } else {
        aim = std::min(1.0, rounded(aim * kAim / used_of(found)));
      }
      if (add_plan(base, effects, aim, how).method == Method::kDense) break;
      last = result_.tried.size() - 1;
    }
  }

  // The share of the target that a plan takes: its error over the one asked for, or its time.
  double used_of(const PlanTrial& trial) const {
    return by_speed() ? request_.target.value / trial.speedup()
                      : bound_of(trial) / request_.target.value;
  }
  bool met_closely(const PlanTrial& trial) const {
    if (!by_error() && !by_speed()) return true;  // densities are as asked for
    const double used = used_of(trial);
    return used <= 1.0 && used >= kUsedEnough;
  }

  // What the mean error of all prompts stays below with confidence kMeets: a plan whose check
  // prompts just meet the target misses it on half of the others.
  double bound_of(const PlanTrial& trial) const {
    const Interval interval = mean_interval(trial.error_of_prompt, 2.0 * kMeets - 1.0);
    return interval.high;
  }

  // Error and cost trade against each other at about equal ratios.
  bool does_better(size_t a, size_t b) const {
    const PlanTrial &first = result_.tried[a].trial, &second = result_.tried[b].trial;
    return first.error * cost_of(first) < second.error * cost_of(second);
  }
  double cost_of(const PlanTrial& trial) const {
    return costs_ ? 1.0 / trial.speedup() : trial.density;
  }

  Plan add_plan(const Profile& base, const Profile* effects, double aim, const std::string& how) {
    TunedPlan tuned{.name = fmt::format("plan_{}", result_.tried.size())};
    DeriveOptions options{.method = request_.method,
                          .target = {request_.target.kind, aim},
                          .per = request_.per,
                          .weighing = Weighing::kEffect,
                          .effects = effects,
                          .costs = costs_ ? &*costs_ : nullptr,
                          .confidence = request_.confidence};
    options.source = session_.source(kBase);
    Plan plan = derive_plan(base, options);
    tuned.how = fmt::format("{}, {}", how, to_string(options.target));
    tuned.foretold = plan.expected_error->mean;
    if (plan.expected_speedup) tuned.speedup_foretold = plan.expected_speedup->mean;
    write_plan(session_.parts().path_of(tuned.name + ".json"), plan, true);
    tuned.trial = trial(tuned.name, plan);
    report_note(session_.monitor(),
                fmt::format("{}: {}: density {:.4f}, error {:.4f} foretold, {:.4f} on {} "
                            "check prompts",
                            tuned.name, tuned.how, tuned.trial.density, tuned.foretold,
                            tuned.trial.error, session_.split().check.size()));
    result_.tried.push_back(std::move(tuned));
    return plan;
  }

  PlanTrial trial(const std::string& name, const Plan& plan) {
    const std::string file = name + ".trial.json";
    std::optional<PlanTrial> found = session_.parts().read(file, session_.monitor(), read_trial);
    if (found) return *found;
    const std::vector<PlanTrial> trials =
        try_plans(session_.denoiser(), session_.loaded().prompts, session_.split().check,
                  {&plan, 1}, session_.impl(), session_.pool(), session_.monitor());
    write_trial(session_.parts().path_of(file), trials.front());
    return trials.front();
  }

  // Of the plans that keep the error the one of least cost, of those that do not the one of least
  // error; of those that are fast enough the one of least error, else the fastest; at a density the
  // one of least error.
  void choose() {
    const auto meets = [&](const TunedPlan& plan) {
      return (by_error() || by_speed()) && used_of(plan.trial) <= 1.0;
    };
    const auto better = [&](const TunedPlan& a, const TunedPlan& b) {
      if (meets(a) != meets(b)) return meets(a);
      const bool by_cost = by_error() == meets(a) && (by_error() || by_speed());
      return by_cost ? cost_of(a.trial) < cost_of(b.trial) : a.trial.error < b.trial.error;
    };
    result_.chosen =
        static_cast<size_t>(std::min_element(result_.tried.begin(), result_.tried.end(), better) -
                            result_.tried.begin());
  }

  // The check prompts were neither derived from nor profiled: their errors foretell those of
  // others.
  void finish_plan() {
    const TunedPlan& chosen = result_.tried[result_.chosen];
    result_.plan = read_plan(session_.parts().path_of(chosen.name + ".json"));
    const Interval interval =
        prediction_interval(chosen.trial.error_of_prompt, request_.confidence);
    result_.plan.expected_error = Expected{.mean = chosen.trial.error,
                                           .low = std::max(0.0, interval.low),
                                           .high = interval.high,
                                           .confidence = request_.confidence};
    Json& tuned = result_.plan.evidence["tune"];
    tuned["chosen"] = chosen.name;
    tuned["expected_error"] = fmt::format(
        "measured on {} check prompts, which nothing was derived from; the interval is that of one "
        "further prompt, by Student's t",
        session_.split().check.size());
    tuned["derive_prompts"] = session_.split().derive;
    tuned["check_prompts"] = session_.split().check;
    tuned["tried"] = tried_to_json(result_.tried);
  }

  void judge_heldout() {
    const fs::path plan_file = session_.parts().path_of("chosen.json");
    write_plan(plan_file, result_.plan, true);
    const std::string plan_hash = sha256_file(plan_file);
    std::vector<Requirement> requirements;
    if (by_speed()) {
      requirements.push_back({"speedup", BoundKind::kAtLeast, request_.target.value});
    } else {
      requirements.push_back(
          {by_error() ? "output_rel_l2" : "density", BoundKind::kAtMost, request_.target.value});
    }
    const ValidationRequest validation{
        .folder = session_.loaded().folder,
        .model = session_.model(),
        .plan = result_.plan,
        .plan_hash = plan_hash,
        .prompts = session_.heldout(),
        .sampling = session_.loaded().sampling,
        .latents = {},
        .requirements = requirements,
        .impl = session_.impl(),
        .pool = session_.pool(),
        .precision = session_.precision(),
        .out = {.path = session_.parts().path_of("report.json"), .replace = true}};
    result_.report = run_validation(validation, session_.monitor());
    result_.holds = result_.report.holds();
    const double error = result_.report.summary.at("output_rel_l2").value;
    const Expected& expected = *result_.plan.expected_error;
    result_.inside = error >= expected.low && error <= expected.high;
  }

  void publish() {
    const fs::path out = request_.out.path;
    write_report(beside(out, ".report.json"), result_.report, request_.out.replace);
    fs::copy_file(session_.parts().path_of(kBase), beside(out, ".profile.h5"),
                  fs::copy_options::overwrite_existing);
    if (request_.measure_costs) {
      fs::copy_file(session_.parts().path_of(kCosts), beside(out, ".costs.json"),
                    fs::copy_options::overwrite_existing);
    }
    session_.parts().publish([&](const fs::path& path) { write_plan(path, result_.plan, true); });
  }

  const TuneRequest& request_;
  TuneSession session_;
  std::optional<KernelCosts> costs_;
  TuneResult result_;
};

}  // namespace

fs::path beside(const fs::path& out, const std::string& ending) {
  return out.parent_path() / (out.stem().string() + ending);
}

TuneResult tune(const TuneRequest& request, const RunMonitor& monitor) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.target.kind != TargetKind::kRecall,
                    "--target: expected error=E, density=D or speedup=X to tune for, found {}",
                    to_string(request.target));
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      request.target.kind != TargetKind::kSpeedup || request.costs || request.measure_costs,
      "--target {}: expected kernel costs (--costs FILE or --costs measure), found "
      "none",
      to_string(request.target));
  check_output(request.out);
  if (request.measure_costs) {
    check_output({beside(request.out.path, ".costs.json"), request.out.replace});
  }
  check_output({beside(request.out.path, ".report.json"), request.out.replace});
  check_output({beside(request.out.path, ".profile.h5"), request.out.replace});
  return Tuner(request, monitor).run();
}

}  // namespace sparsescope
