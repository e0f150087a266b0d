#include "tune/tune.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"
#include "stats/intervals.h"
#include "stats/profile_manifest.h"
#include "stats/profile_request.h"
#include "stats/profile_store.h"
#include "tune/prompt_split.h"
#include "tune/trial_json.h"
#include "validate/validate.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

// A target counts as met closely enough when this share of it is used: further rounds would gain
// less density than prompts differ by.
constexpr double kUsedEnough = 0.95;
constexpr int64_t kAroundProbes = 2;  // around a plan the residual's direction says most

PromptSet chosen_prompts(const PromptSet& set, const std::vector<int64_t>& indices) {
  PromptSet result{.source_hash = set.source_hash};
  for (const int64_t i : indices) {
    result.names.push_back(set.names[i]);
    result.conditional.push_back(set.conditional[i]);
    if (!set.unconditional.empty()) result.unconditional.push_back(set.unconditional[i]);
  }
  return result;
}

class Tuner {
 public:
  Tuner(const TuneRequest& request, const RunMonitor& monitor)
      : request_(request),
        monitor_(monitor),
        loaded_(load_sampling(request.sampling)),
        heldout_apart_(!request.heldout.empty() || !request.heldout_embeds.empty()),
        split_(split_prompts(std::ssize(loaded_.prompts.names), request.derive_prompts,
                             request.check_prompts, heldout_apart_, request.sampling.seed)),
        heldout_(read_heldout()),
        impl_(default_cpu_impl()),
        pool_(request.threads),
        denoiser_(*loaded_.model, loaded_.folder, loaded_.sampling),
        parts_(request.out, "sparsescope-tune-parts", settings()) {
    for (const std::string& warning : loaded_.model->info().warnings) {
      report_note(monitor, warning);
    }
  }

  TuneResult run() {
    const Profile base = profile("base.h5", nullptr);
    double aim = request_.target.value;
    add_plan(base, nullptr, aim, "effects around dense attention");
    const std::string around = "around_" + result_.tried.back().name + ".h5";
    const Plan first = read_plan(parts_.path_of(result_.tried.back().name + ".json"));
    const Profile refined = profile(around, &first);
    for (int64_t round = 1; round < request_.rounds; ++round) {
      const TunedPlan& last = result_.tried.back();
      if (by_error() && round > 1) {
        // Repair: what was foretold and what was found differ by a factor that changes little.
        aim *= request_.target.value * kAim / last.trial.error;
        aim = std::min(aim, 1.0);
      }
      add_plan(base, &refined, aim, "effects around " + result_.tried.front().name);
      if (!by_error() || met_closely(result_.tried.back().trial.error)) break;
    }
    choose();
    finish_plan();
    judge_heldout();
    publish();
    return std::move(result_);
  }

 private:
  // Repairs aim a little below the target: a plan at the target misses it half of the time.
  static constexpr double kAim = 0.98;

  bool by_error() const { return request_.target.kind == TargetKind::kError; }
  bool met_closely(double error) const {
    return error <= request_.target.value && error >= kUsedEnough * request_.target.value;
  }

  PromptSet read_heldout() const {
    if (!heldout_apart_) return chosen_prompts(loaded_.prompts, split_.heldout);
    if (!request_.heldout.empty()) {
      return encode_prompts(loaded_.folder, read_prompt_file(request_.heldout));
    }
    return read_prompt_embeds(request_.heldout_embeds, !loaded_.prompts.unconditional.empty());
  }

  Json settings() const {
    Json run = sampling_settings({.model = loaded_.model->info(),
                                  .folder = loaded_.folder,
                                  .prompts = loaded_.prompts,
                                  .sampling = loaded_.sampling,
                                  .latents = loaded_.latents,
                                  .precision = precision(),
                                  .impl = impl_},
                                 denoiser_);
    run["heldout_hashes"] = prompt_hashes(heldout_);
    run["derive_prompts"] = split_.derive;
    run["check_prompts"] = split_.check;
    run["method"] = to_string(request_.method);
    run["target"] = to_string(request_.target);
    run["per"] = to_string(request_.per);
    run["tile"] = to_string(request_.tile);
    run["partitions"] = partitions();
    run["sensitivity"] = request_.sensitivity;
    run["rounds"] = request_.rounds;
    run["confidence"] = request_.confidence;
    return run;
  }

  const std::string& precision() const {
    static const std::string name(dtype_name(request_.sampling.load.compute));
    return name;
  }
  std::string partitions() const {
    return request_.method == Method::kVmoba ? request_.partitions : "none";
  }

  // Measured now, or by an earlier start.
  Profile profile(const std::string& name, const Plan* around) {
    const fs::path path = parts_.path_of(name);
    if (!fs::exists(path)) {
      ProfileRequest profiled;
      profiled.sampling = request_.sampling;
      profiled.tile = request_.tile;
      profiled.partitions = partitions();
      profiled.record_prompts = index_list(split_.derive);
      profiled.sensitivity = request_.sensitivity;
      if (around != nullptr) {
        profiled.around = parts_.path_of(result_.tried.back().name + ".json");
        profiled.effects_only = true;
        profiled.probes = kAroundProbes;
      }
      profiled.out.path = path;
      profiled.threads = request_.threads;
      profiled.command_line = request_.command_line;
      run_profile(profiled, monitor_);
    }
    return read_profile(path);
  }

  void add_plan(const Profile& base, const Profile* effects, double aim, const std::string& how) {
    TunedPlan tuned{.name = fmt::format("plan_{}", result_.tried.size())};
    DeriveOptions options{.method = request_.method,
                          .target = {request_.target.kind, aim},
                          .per = request_.per,
                          .weighing = Weighing::kEffect,
                          .effects = effects,
                          .confidence = request_.confidence};
    options.source = {
        {"profile", {{"file", "base.h5"}, {"sha256", sha256_file(parts_.path_of("base.h5"))}}},
        {"command_line", request_.command_line}};
    const Plan plan = derive_plan(base, options);
    tuned.how = fmt::format("{}, {}", how, to_string(options.target));
    tuned.foretold = plan.expected_error->mean;
    write_plan(parts_.path_of(tuned.name + ".json"), plan, true);
    tuned.trial = trial(tuned.name, plan);
    report_note(monitor_, fmt::format("{}: {}: density {:.4f}, error {:.4f} foretold, {:.4f} on {} "
                                      "check prompts",
                                      tuned.name, tuned.how, tuned.trial.density, tuned.foretold,
                                      tuned.trial.error, split_.check.size()));
    result_.tried.push_back(std::move(tuned));
  }

  PlanTrial trial(const std::string& name, const Plan& plan) {
    const std::string file = name + ".trial.json";
    std::optional<PlanTrial> found = parts_.read(file, monitor_, read_trial);
    if (found) return *found;
    const std::vector<PlanTrial> trials =
        try_plans(denoiser_, loaded_.prompts, split_.check, {&plan, 1}, impl_, pool_, monitor_);
    write_trial(parts_.path_of(file), trials.front());
    return trials.front();
  }

  // Of the plans that meet the target the one of least density, of those that do not the one of
  // least error; at a density the one of least error.
  void choose() {
    const auto meets = [&](const TunedPlan& plan) {
      return by_error() && plan.trial.error <= request_.target.value;
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
    result_.plan = read_plan(parts_.path_of(chosen.name + ".json"));
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
        split_.check.size());
    tuned["derive_prompts"] = split_.derive;
    tuned["check_prompts"] = split_.check;
    tuned["tried"] = tried_to_json(result_.tried);
  }

  void judge_heldout() {
    const fs::path plan_file = parts_.path_of("chosen.json");
    write_plan(plan_file, result_.plan, true);
    const std::string plan_hash = sha256_file(plan_file);
    std::vector<Requirement> requirements;
    requirements.push_back(
        {by_error() ? "output_rel_l2" : "density", Comparison::kAtMost, request_.target.value});
    const ValidationRequest validation{
        .folder = loaded_.folder,
        .model = *loaded_.model,
        .plan = result_.plan,
        .plan_hash = plan_hash,
        .prompts = heldout_,
        .sampling = loaded_.sampling,
        .latents = {},
        .requirements = requirements,
        .impl = impl_,
        .pool = pool_,
        .precision = precision(),
        .out = {.path = parts_.path_of("report.json"), .replace = true}};
    result_.report = run_validation(validation, monitor_);
    result_.holds = result_.report.holds();
    const double error = result_.report.summary.at("output_rel_l2").value;
    const Expected& expected = *result_.plan.expected_error;
    result_.inside = error >= expected.low && error <= expected.high;
  }

  void publish() {
    const fs::path out = request_.out.path;
    write_report(beside(out, ".report.json"), result_.report, request_.out.replace);
    fs::copy_file(parts_.path_of("base.h5"), beside(out, ".profile.h5"),
                  fs::copy_options::overwrite_existing);
    parts_.publish([&](const fs::path& path) { write_plan(path, result_.plan, true); });
  }

  const TuneRequest& request_;
  const RunMonitor& monitor_;
  LoadedSampling loaded_;
  bool heldout_apart_;
  PromptSplit split_;
  PromptSet heldout_;
  Impl impl_;
  ThreadPool pool_;
  Denoiser denoiser_;
  PartsFolder parts_;
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
