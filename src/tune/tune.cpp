#include "tune/tune.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"
#include "stats/intervals.h"
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
class Tuner {
 public:
  Tuner(const TuneRequest& request, const RunMonitor& monitor)
      : request_(request),
        session_(request, request.method == Method::kVmoba ? request.partitions : "none",
                 {{"method", to_string(request.method)},
                  {"target", to_string(request.target)},
                  {"rounds", request.rounds}},
                 monitor) {}

  TuneResult run() {
    const Profile base = session_.profile(kBase);
    double aim = request_.target.value;
    add_plan(base, nullptr, aim, kDenseEffects);
    const std::string first = result_.tried.front().name;
    const Profile refined = session_.profile("around_" + first + ".h5", first + ".json");
    add_plan(base, &refined, aim, "effects around " + first);
    // Repair what does better: what was foretold and what was found differ by a factor that changes
    // little with the aim.
    const size_t better = does_better(1, 0) ? 1 : 0;
    const Profile* effects = better == 1 ? &refined : nullptr;
    const std::string how = better == 1 ? "effects around " + first : kDenseEffects;
    double bound = bound_of(result_.tried[better].trial);
    while (by_error() && !met_closely(bound) && std::ssize(result_.tried) < request_.rounds) {
      aim = std::min(1.0, aim * kAim * request_.target.value / bound);
      add_plan(base, effects, aim, how);
      bound = bound_of(result_.tried.back().trial);
    }
    choose();
    finish_plan();
    judge_heldout();
    publish();
    return std::move(result_);
  }

 private:
  static constexpr const char* kBase = "base.h5";
  static constexpr const char* kDenseEffects = "effects around dense attention";

  bool by_error() const { return request_.target.kind == TargetKind::kError; }
  bool met_closely(double bound) const {
    return bound <= request_.target.value && bound >= kUsedEnough * request_.target.value;
  }

  // What the mean error of all prompts stays below with confidence kMeets: a plan whose check
  // prompts just meet the target misses it on half of the others.
  double bound_of(const PlanTrial& trial) const {
    const Interval interval = mean_interval(trial.error_of_prompt, 2.0 * kMeets - 1.0);
    return interval.high;
  }

  // Error and density trade against each other at about equal ratios.
  bool does_better(size_t a, size_t b) const {
    const PlanTrial &first = result_.tried[a].trial, &second = result_.tried[b].trial;
    return first.error * first.density < second.error * second.density;
  }

  void add_plan(const Profile& base, const Profile* effects, double aim, const std::string& how) {
    TunedPlan tuned{.name = fmt::format("plan_{}", result_.tried.size())};
    DeriveOptions options{.method = request_.method,
                          .target = {request_.target.kind, aim},
                          .per = request_.per,
                          .weighing = Weighing::kEffect,
                          .effects = effects,
                          .confidence = request_.confidence};
    options.source = session_.source(kBase);
    const Plan plan = derive_plan(base, options);
    tuned.how = fmt::format("{}, {}", how, to_string(options.target));
    tuned.foretold = plan.expected_error->mean;
    write_plan(session_.parts().path_of(tuned.name + ".json"), plan, true);
    tuned.trial = trial(tuned.name, plan);
    report_note(session_.monitor(),
                fmt::format("{}: {}: density {:.4f}, error {:.4f} foretold, {:.4f} on {} "
                            "check prompts",
                            tuned.name, tuned.how, tuned.trial.density, tuned.foretold,
                            tuned.trial.error, session_.split().check.size()));
    result_.tried.push_back(std::move(tuned));
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

  // Of the plans that meet the target the one of least density, of those that do not the one of
  // least error; at a density the one of least error.
  void choose() {
    const auto meets = [&](const TunedPlan& plan) {
      return by_error() && bound_of(plan.trial) <= request_.target.value;
    };
    const auto better = [&](const TunedPlan& a, const TunedPlan& b) {
      if (meets(a) != meets(b)) return meets(a);
      return meets(a) ? a.trial.density < b.trial.density : a.trial.error < b.trial.error;
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
    requirements.push_back(
        {by_error() ? "output_rel_l2" : "density", Comparison::kAtMost, request_.target.value});
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
    session_.parts().publish([&](const fs::path& path) { write_plan(path, result_.plan, true); });
  }

  const TuneRequest& request_;
  TuneSession session_;
  TuneResult result_;
};

}  // namespace

fs::path beside(const fs::path& out, const std::string& ending) {
  return out.parent_path() / (out.stem().string() + ending);
}

TuneResult tune(const TuneRequest& request, const RunMonitor& monitor) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.target.kind != TargetKind::kRecall,
                    "--target: expected error=E or density=D to tune for, found {}",
                    to_string(request.target));
  check_output(request.out);
  check_output({beside(request.out.path, ".report.json"), request.out.replace});
  check_output({beside(request.out.path, ".profile.h5"), request.out.replace});
  return Tuner(request, monitor).run();
}

}  // namespace sparsescope
