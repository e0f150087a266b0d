// VMoBA: which of the measured partitions serves each layer best at equal density, and what the
// plain cycle 1D, 2D, 3D costs against it. One rule of selection at a time (top-k, or tau over one
// pool): its measured densities and recalls (or errors), means over a layer's heads, steps and
// branches, are a curve for each partition; between measured settings it is linear. A partition
// whose sparsest setting is denser than asked does not compete.
//
// What is chosen on some prompts is judged on others: for each prompt in turn, partitions are
// chosen on all others and their values read on this one; costs are means over prompts of that.
// With one prompt it is judged on itself, and costs are too small.
//
//   best        each layer has the partition that is best for it
//   a schedule  one partition of each kind for the model, the best one for the layers that the
//               schedule gives to its kind; what FastVideo's and SGLang's files can hold
//   cycle       the plain schedule: layer i takes kind i mod 3
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/vmoba_schedule.h"
#include "stats/profile.h"
#include "summary/measured.h"
#include "summary/summary_options.h"

namespace sparsescope {

struct LayerPartitions {
  int64_t layer = 0;
  std::vector<Measured> values;  // [partitions] recall or error at the density
  int64_t best = -1;             // of partitions, by all prompts; -1 where none goes that low
  double agreeing = 0;           // share of the prompts whose own best is the same
  int64_t in_cycle = -1;         // the plain cycle's
};

struct ScheduleCost {
  VmobaSchedule schedule;
  std::array<int64_t, 3> partitions{-1, -1, -1};  // by PartitionKind, by all prompts; -1 not used
  Measured value;                                 // mean over layers
  Measured lost;           // recall below, or error above, the best partition of each layer
  Measured extra_density;  // needed to be as good as these, mean over layers
  int64_t never = 0;       // layers that no measured setting makes as good
};

struct PartitionRanking {
  std::string rule;   // "top-k", "tau of query_head", ...
  std::string judge;  // "recall", "error"
  double density = 0;
  std::vector<Partition> partitions;
  std::vector<LayerPartitions> layers;
  double chance = 0;  // of agreeing: 1 over the partitions that compete in some layer
  Measured best;      // mean over layers of the best partition's value
  std::optional<ScheduleCost> cycle;     // none where a kind has no partition that goes that low
  std::optional<ScheduleCost> schedule;  // the best of cycles of up to 3 layers of each kind
};

// For every rule, judge and density that the profile tells something of. Error(kData) without
// partitions.
std::vector<PartitionRanking> find_partition_rankings(const Profile& profile,
                                                      const SummaryOptions& options);

}  // namespace sparsescope
