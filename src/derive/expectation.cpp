#include "derive/expectation.h"

#include <algorithm>

#include "core/error.h"
#include "stats/intervals.h"

namespace sparsescope {
namespace {

// Sums of one prompt over the recorded sites of one unit.
struct UnitOutcome {
  double density = 0.0, recall = 0.0, sites = 0.0;
};

struct PromptOutcome {
  double density = 1.0, recall = 1.0, time = 1.0;
};

// Mean over all (step, layer, head) of a plan on one prompt; dense ones count as 1. A unit's sites
// that were not recorded take the mean of its recorded ones, of all prompts where this one has
// none.
PromptOutcome outcome_of_prompt(const std::vector<UnitOutcome>& outcomes,
                                const std::vector<UnitSample>& samples,
                                const Allocation& allocation, const SettingCosts& costs,
                                int64_t all_sites) {
  PromptOutcome missed{0.0, 0.0, 0.0};  // sums of 1 - density and so on
  for (size_t unit = 0; unit < samples.size(); ++unit) {
    const std::optional<Setting>& setting = allocation.settings[unit];
    if (!setting) continue;
    const UnitOutcome& outcome = outcomes[unit];
    OperatingPoint mean = setting->point;
    if (outcome.sites > 0.0) {
      mean = {outcome.density / outcome.sites, outcome.recall / outcome.sites};
    }
    const auto covered = static_cast<double>(samples[unit].sparse_sites);
    missed.density += covered * (1.0 - mean.density);
    missed.recall += covered * (1.0 - mean.recall);
    if (costs.known()) {
      missed.time += covered * (1.0 - costs.lines().of(setting->params).at(mean.density));
    }
  }
  const auto all = static_cast<double>(all_sites);
  return {1.0 - missed.density / all, 1.0 - missed.recall / all, 1.0 - missed.time / all};
}

Expected with_interval(const std::vector<double>& values, double confidence, bool is_fixed) {
  Expected expected{.mean = mean_of(values), .low = 0.0, .high = 1.0, .confidence = confidence};
  if (is_fixed) {
    expected.low = expected.high = expected.mean;
  } else if (values.size() >= 2) {
    const Interval interval = prediction_interval(values, confidence);
    expected.low = std::max(0.0, interval.low);
    expected.high = std::min(1.0, interval.high);
  }
  // The mean of numbers in [0, 1] may leave it by rounding.
  expected.mean = std::clamp(expected.mean, 0.0, 1.0);
  expected.low = std::min(expected.low, expected.mean);
  expected.high = std::max(expected.high, expected.mean);
  return expected;
}

// Times that a plan may take, whatever the prompt: at no pairs, at all pairs; and how far the costs
// of its settings are uncertain. All over the time of dense attention.
struct TimeBounds {
  double least = 1.0, most = 1.0, spread = 0.0;
};

TimeBounds time_bounds(const std::vector<UnitSample>& samples, const Allocation& allocation,
                       const SettingCosts& costs, int64_t all_sites) {
  TimeBounds bounds;
  for (size_t unit = 0; unit < samples.size(); ++unit) {
    const std::optional<Setting>& setting = allocation.settings[unit];
    if (!setting) continue;
    const CostLine line = costs.lines().of(setting->params);
    const double share =
        static_cast<double>(samples[unit].sparse_sites) / static_cast<double>(all_sites);
    bounds.least -= share * (1.0 - line.at(0.0));
    bounds.most -= share * (1.0 - line.at(1.0));
    bounds.spread += share * line.spread;
  }
  return bounds;
}

Expected expected_speedup(const std::vector<double>& times, const TimeBounds& bounds,
                          double confidence, bool is_fixed) {
  constexpr double kLeastTime = 1e-6;  // a speed-up must be finite
  const double mean = std::max(kLeastTime, mean_of(times));
  Interval time{bounds.least, bounds.most};
  if (is_fixed) {
    time = {mean, mean};
  } else if (times.size() >= 2) {
    const Interval found = prediction_interval(times, confidence);
    time = {std::max(bounds.least, found.low), std::min(bounds.most, found.high)};
  }
  time.low = std::clamp(time.low - bounds.spread, kLeastTime, mean);
  time.high = std::max(time.high + bounds.spread, mean);
  return {
      .mean = 1.0 / mean, .low = 1.0 / time.high, .high = 1.0 / time.low, .confidence = confidence};
}

std::string describe_interval(size_t prompts, double confidence) {
  if (prompts < 2) {
    return "interval: one prompt says nothing about the spread over prompts, so that an interval "
           "runs over the whole range from 0 to 1 (a density that the settings fix keeps its "
           "value)";
  }
  return fmt::format(
      "interval: where a new prompt falls with confidence {}, by Student's t over {} "
      "prompts as the independent unit, clipped to 0 and 1",
      confidence, prompts);
}

}  // namespace

Expectation expect(const Profile& profile, const MethodCurves& curves, const UnitGrid& grid,
                   const std::vector<UnitSample>& samples, const Allocation& allocation,
                   const DenseSites& dense, const SettingCosts& costs, double confidence) {
  std::vector<std::vector<UnitOutcome>> outcomes(static_cast<size_t>(profile.prompts),
                                                 std::vector<UnitOutcome>(samples.size()));
  std::vector<double> sample(curves.sample_size());
  for_each_sparse_site(profile, dense, [&](const ProfileSite& site) {
    const size_t unit = grid.unit_of(site.step, site.layer, site.head);
    const auto& setting = allocation.settings[unit];
    if (!setting) return;
    curves.read_sample(site, sample);
    const OperatingPoint point = curves.evaluate(sample, setting->params);
    UnitOutcome& outcome = outcomes[static_cast<size_t>(site.prompt)][unit];
    outcome.density += point.density;
    outcome.recall += point.recall;
    outcome.sites += 1.0;
  });

  Expectation result;
  const int64_t all_sites = profile.steps * profile.layers * profile.heads;
  const std::vector<int64_t> prompts = recorded_prompts(profile);
  for (const int64_t prompt : prompts) {
    const PromptOutcome outcome = outcome_of_prompt(outcomes[static_cast<size_t>(prompt)], samples,
                                                    allocation, costs, all_sites);
    result.density_of_prompt.push_back(outcome.density);
    result.recall_of_prompt.push_back(outcome.recall);
    if (costs.known()) result.time_of_prompt.push_back(outcome.time);
  }
  result.density = with_interval(result.density_of_prompt, confidence, curves.density_is_fixed());
  result.recall = with_interval(result.recall_of_prompt, confidence, false);
  if (costs.known()) {
    result.speedup =
        expected_speedup(result.time_of_prompt, time_bounds(samples, allocation, costs, all_sites),
                         confidence, curves.density_is_fixed());
  }
  result.remark = describe_interval(prompts.size(), confidence);
  return result;
}

}  // namespace sparsescope
