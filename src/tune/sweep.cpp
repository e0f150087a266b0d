#include "tune/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/atomic_file.h"
#include "core/error.h"
#include "derive/baselines.h"
#include "tune/trial_json.h"
#include "tune/tune_session.h"

namespace sparsescope {
namespace {

constexpr const char* kDerived = "derived";

struct Kinds {
  Method method;
  std::vector<std::string> names;
};

const std::vector<Kinds>& all_kinds() {
  static const std::vector<Kinds> kinds = {
      {Method::kVsa, {kDerived, "uniform", "random", "oracle"}},
      {Method::kBsa, {kDerived, "published"}},
      {Method::kVmoba,
       {kDerived, "uniform", "published:topk", "published:threshold", "published:global"}}};
  return kinds;
}

class Sweeper {
 public:
  Sweeper(const TuneRequest& request, const std::vector<double>& densities,
          const RunMonitor& monitor)
      : densities_(densities),
        session_(request, request.partitions, {{"sweep", densities}}, monitor) {}

  SweepResult run() {
    const Profile base = session_.profile("base.h5");
    for (const Kinds& kinds : all_kinds()) {
      for (const std::string& kind : kinds.names) {
        for (const double density : densities_) add(base, kinds.method, kind, density);
      }
    }
    try_missing();
    for (const Kinds& kinds : all_kinds()) mark_knee(kinds.method);
    session_.parts().publish([&](const std::filesystem::path& path) {
      write_text_atomically(path, sweep_to_json(result_).dump(2) + "\n", true);
    });
    return std::move(result_);
  }

 private:
  std::string trial_file(const SweepPoint& point) const {
    std::string name = fmt::format("{}_{}_{}", to_string(point.method), point.kind, point.asked);
    std::replace(name.begin(), name.end(), ':', '-');
    return name + ".trial.json";
  }

  void add(const Profile& base, Method method, const std::string& kind, double density) {
    DeriveOptions options{
        .method = method, .target = {TargetKind::kDensity, density}, .per = session_.request().per};
    options.source = session_.source("base.h5");
    try {
      if (kind == kDerived) {
        options.weighing = Weighing::kEffect;
        plans_.push_back(derive_plan(base, options));
      } else {
        options.dense_first_steps = 0;
        options.dense_layers.emplace();
        plans_.push_back(derive_baseline(base, options, parse_baseline(kind)));
      }
    } catch (const Error& error) {
      result_.notes.push_back(
          fmt::format("{} {} at density {}: {}", to_string(method), kind, density, error.what()));
      return;
    }
    result_.points.push_back({.method = method, .kind = kind, .asked = density});
  }

  // All plans along one trajectory of each prompt, those left out that an earlier start tried.
  void try_missing() {
    std::vector<size_t> missing;
    for (size_t i = 0; i < plans_.size(); ++i) {
      const std::string file = trial_file(result_.points[i]);
      std::optional<PlanTrial> trial = session_.parts().read(file, session_.monitor(), read_trial);
      if (trial) {
        result_.points[i].trial = *trial;
      } else {
        missing.push_back(i);
      }
    }
    std::vector<int64_t> prompts(session_.heldout().names.size());
    for (size_t i = 0; i < prompts.size(); ++i) prompts[i] = static_cast<int64_t>(i);
    // A method at a time, so that a stop loses no more than that.
    for (const Kinds& kinds : all_kinds()) {
      std::vector<Plan> plans;
      std::vector<size_t> of_method;
      for (const size_t i : missing) {
        if (result_.points[i].method != kinds.method) continue;
        plans.push_back(plans_[i]);
        of_method.push_back(i);
      }
      if (plans.empty()) continue;
      const std::vector<PlanTrial> trials =
          try_plans(session_.denoiser(), session_.heldout(), prompts, plans, session_.impl(),
                    session_.pool(), session_.monitor());
      for (size_t j = 0; j < trials.size(); ++j) {
        SweepPoint& point = result_.points[of_method[j]];
        point.trial = trials[j];
        write_trial(session_.parts().path_of(trial_file(point)), point.trial);
      }
    }
    for (SweepPoint& point : result_.points) {
      point.interval = mean_interval(point.trial.error_of_prompt, session_.request().confidence);
    }
  }

  void mark_knee(Method method) {
    std::vector<double> x, y;
    std::vector<SweepPoint*> points;
    for (SweepPoint& point : result_.points) {
      if (point.method != method || point.kind != kDerived) continue;
      x.push_back(point.trial.density);
      y.push_back(point.trial.error);
      points.push_back(&point);
    }
    const int64_t knee = knee_of(x, y);
    if (knee >= 0) points[knee]->knee = true;
  }

  const std::vector<double>& densities_;
  TuneSession session_;
  std::vector<Plan> plans_;  // of the points
  SweepResult result_;
};

}  // namespace

int64_t knee_of(std::span<const double> x, std::span<const double> y) {
  if (x.size() < 3) return -1;
  const double width = x.back() - x.front(), height = y.front() - y.back();
  int64_t knee = -1;
  double furthest = 0.0;
  for (size_t i = 1; i + 1 < x.size(); ++i) {
    const double chord = 1.0 - (x[i] - x.front()) / width;
    const double distance = chord - (y[i] - y.back()) / height;
    if (distance <= furthest) continue;
    furthest = distance;
    knee = static_cast<int64_t>(i);
  }
  return knee;
}

Json sweep_to_json(const SweepResult& result) {
  Json points = Json::array();
  for (const SweepPoint& point : result.points) {
    Json row = {{"method", to_string(point.method)}, {"kind", point.kind}, {"asked", point.asked}};
    row.update(trial_to_json(point.trial));
    row["error_low"] = point.interval.low;
    row["error_high"] = point.interval.high;
    row["speedup"] = point.trial.speedup();
    row["knee"] = point.knee;
    points.push_back(row);
  }
  return {
      {"format", "sparsescope-sweep"}, {"version", 1}, {"points", points}, {"notes", result.notes}};
}

SweepResult sweep(const TuneRequest& request, const std::vector<double>& densities,
                  const RunMonitor& monitor) {
  check_output(request.out);
  return Sweeper(request, densities, monitor).run();
}

}  // namespace sparsescope
