#include "summary/partition_ranking.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "derive/candidates.h"
#include "summary/partition_chooser.h"
#include "summary/partition_curves.h"

namespace sparsescope {
namespace {

constexpr int64_t kMostOfAKind = 3;  // layers of one kind in a cycle

// Shortest first; none twice.
std::vector<VmobaSchedule> all_schedules() {
  std::vector<VmobaSchedule> schedules;
  for (int64_t cycle = 1; cycle <= 3 * kMostOfAKind; ++cycle) {
    for (int64_t temporal = 0; temporal <= kMostOfAKind; ++temporal) {
      for (int64_t spatial = 0; spatial <= kMostOfAKind; ++spatial) {
        const int64_t st = cycle - temporal - spatial;
        if (st < 0 || st > kMostOfAKind) continue;
        for (int64_t shift = 0; shift < cycle; ++shift) {
          schedules.push_back({temporal, spatial, st, shift});
        }
      }
    }
  }
  return schedules;
}

VmobaSchedule best_schedule(const PartitionChooser& chooser, int64_t left_out) {
  VmobaSchedule best;
  double most = kNotKnown;
  for (const VmobaSchedule& schedule : all_schedules()) {
    const double worth = chooser.worth(chooser.assign(schedule, left_out), left_out);
    if (std::isnan(worth) || worth <= most) continue;
    best = schedule;
    most = worth;
  }
  return best;
}

// schedule_for(left_out): the schedule that is chosen without a prompt.
template <typename ScheduleFor>
std::optional<ScheduleCost> cost_of(const PartitionChooser& chooser, double density, bool by_error,
                                    double confidence, const ScheduleFor& schedule_for) {
  ScheduleCost cost{.schedule = schedule_for(-1)};
  if (std::isnan(chooser.worth(chooser.assign(cost.schedule, -1), -1))) return std::nullopt;
  cost.partitions = chooser.kinds_of(cost.schedule, -1);
  std::vector<double> values, lost, extra;
  std::set<size_t> never;
  for (size_t prompt = 0; prompt < chooser.prompts(); ++prompt) {
    const auto left_out = static_cast<int64_t>(prompt);
    const Assignment best = chooser.best_of_each(left_out),
                     chosen = chooser.assign(schedule_for(left_out), left_out);
    const double worth = chooser.worth_on(chosen, prompt);
    values.push_back(by_error ? -worth : worth);
    lost.push_back(chooser.worth_on(best, prompt) - worth);
    std::vector<double> densities;
    for (size_t layer = 0; layer < chooser.layers().size(); ++layer) {
      densities.push_back(chooser.density_as_good(chosen[layer], best[layer], layer, prompt) -
                          density);
      if (std::isnan(densities.back())) never.insert(layer);
    }
    extra.push_back(known_mean(densities));
  }
  const Interval bounds = by_error ? kPositive : kShareBounds;
  cost.value = over_prompts(values, confidence, bounds);
  cost.lost = over_prompts(lost, confidence);
  cost.extra_density = over_prompts(extra, confidence);
  cost.never = std::ssize(never);
  return cost;
}

LayerPartitions layer_line(const PartitionChooser& chooser, size_t layer, size_t partitions,
                           bool by_error, double confidence) {
  LayerPartitions line{.layer = chooser.layers()[layer], .best = chooser.best_of_layer(layer, -1)};
  const Interval bounds = by_error ? kPositive : kShareBounds;
  double agreeing = 0;
  for (size_t partition = 0; partition < partitions; ++partition) {
    std::vector<double> values;
    for (size_t prompt = 0; prompt < chooser.prompts(); ++prompt) {
      const double value = chooser.value(static_cast<int64_t>(partition), layer, prompt);
      values.push_back(by_error ? -value : value);
    }
    line.values.push_back(over_prompts(values, confidence, bounds));
  }
  for (size_t prompt = 0; prompt < chooser.prompts(); ++prompt) {
    agreeing += line.best != kNoPartition && chooser.best_on(prompt, layer) == line.best ? 1 : 0;
  }
  line.agreeing = agreeing / static_cast<double>(chooser.prompts());
  return line;
}

std::optional<PartitionRanking> ranking_of(const Profile& profile, const PartitionCurves& curves,
                                           const std::vector<Partition>& partitions,
                                           const std::vector<int64_t>& prompts, double density,
                                           bool by_error, double confidence) {
  const PartitionChooser chooser(profile, partitions, curves, density, prompts.size());
  if (std::isnan(chooser.worth(chooser.best_of_each(-1), -1))) return std::nullopt;
  PartitionRanking ranking{
      .judge = by_error ? "error" : "recall", .density = density, .partitions = partitions};
  std::set<size_t> competing;
  for (size_t layer = 0; layer < chooser.layers().size(); ++layer) {
    ranking.layers.push_back(layer_line(chooser, layer, partitions.size(), by_error, confidence));
    for (size_t i = 0; i < partitions.size(); ++i) {
      if (ranking.layers.back().values[i].known()) competing.insert(i);
    }
  }
  ranking.chance = 1.0 / static_cast<double>(competing.size());
  std::vector<double> best;
  for (size_t prompt = 0; prompt < prompts.size(); ++prompt) {
    const double worth =
        chooser.worth_on(chooser.best_of_each(static_cast<int64_t>(prompt)), prompt);
    best.push_back(by_error ? -worth : worth);
  }
  ranking.best = over_prompts(best, confidence);
  ranking.cycle =
      cost_of(chooser, density, by_error, confidence, [](int64_t) { return VmobaSchedule{}; });
  ranking.schedule = cost_of(chooser, density, by_error, confidence,
                             [&](int64_t left_out) { return best_schedule(chooser, left_out); });
  if (ranking.cycle) {
    const Assignment cycle = chooser.assign(VmobaSchedule{}, -1);
    for (size_t i = 0; i < cycle.size(); ++i) ranking.layers[i].in_cycle = cycle[i];
  }
  return ranking;
}

bool holds_errors(const Profile& profile, const std::vector<Partition>& partitions) {
  return std::all_of(partitions.begin(), partitions.end(), [&](const Partition& partition) {
    const std::string folder = "vmoba/" + to_string(partition) + "/";
    return profile.arrays.contains(folder + "error_topk") &&
           profile.arrays.contains(folder + "error_tau");
  });
}

}  // namespace

std::vector<PartitionRanking> find_partition_rankings(const Profile& profile,
                                                      const SummaryOptions& options) {
  const std::vector<Partition> partitions = measured_partitions(profile);
  const std::vector<int64_t> prompts = recorded_prompts(profile);
  SPARSESCOPE_CHECK(ErrorKind::kData, !prompts.empty(),
                    "profile: expected recorded sites, found none");
  const std::set<double> densities = {1.0 / 8, 1.0 / 4, 1.0 / 2, options.budget};
  std::vector<PartitionRanking> rankings;
  for (const SelectionRule& rule : selection_rules()) {
    for (const bool by_error : {false, true}) {
      if (by_error && !holds_errors(profile, partitions)) continue;
      const PartitionCurves curves(profile, partitions, rule, by_error, prompts);
      for (const double density : densities) {
        auto ranking =
            ranking_of(profile, curves, partitions, prompts, density, by_error, options.confidence);
        if (!ranking) continue;
        ranking->rule = rule.name;
        rankings.push_back(std::move(*ranking));
      }
    }
  }
  return rankings;
}

}  // namespace sparsescope
