// Chooses partitions by their goodness (recall, or minus the error) at one density, on some of a
// profile's prompts.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "plan/vmoba_schedule.h"
#include "stats/profile.h"
#include "summary/measured.h"
#include "summary/partition_curves.h"

namespace sparsescope {

inline constexpr size_t kPartitionKinds = 3;
inline constexpr int64_t kNoPartition = -1;

// One partition for each of the recorded layers; kNoPartition where there is none.
using Assignment = std::vector<int64_t>;

// Layers count by their place among the recorded ones, prompts likewise.
class PartitionChooser {
 public:
  // All must outlive the object.
  PartitionChooser(const Profile& profile, const std::vector<Partition>& partitions,
                   const PartitionCurves& curves, double density, size_t prompts);

  const std::vector<int64_t>& layers() const { return layers_; }
  size_t prompts() const { return prompts_; }
  // NaN for kNoPartition, and where the partition does not go that low.
  double value(int64_t partition, size_t layer, size_t prompt) const;

  // left_out: the prompt that does not count, -1 for none. A single prompt has no others to choose
  // on: then it counts.
  int64_t best_of_layer(size_t layer, int64_t left_out) const;
  int64_t best_on(size_t prompt, size_t layer) const;
  Assignment best_of_each(int64_t left_out) const;
  // The best partition of each kind over the layers that the schedule gives it.
  std::array<int64_t, kPartitionKinds> kinds_of(const VmobaSchedule& schedule,
                                                int64_t left_out) const;
  Assignment assign(const VmobaSchedule& schedule, int64_t left_out) const;

  // Means over layers of what the assignment gives: over the prompts but one, or on one.
  double worth(const Assignment& chosen, int64_t left_out) const;
  double worth_on(const Assignment& chosen, size_t prompt) const;

  // Density that a partition needs on a prompt to be as good as another one at the asked density.
  double density_as_good(int64_t partition, int64_t other, size_t layer, size_t prompt) const;

 private:
  // Over the prompts but one; NaN where one of them lacks it.
  double mean(int64_t partition, size_t layer, int64_t left_out) const;
  size_t kind_of(const VmobaSchedule& schedule, size_t layer) const;

  template <typename ValueOf>
  double mean_over_layers(const ValueOf& value_of) const {
    double sum = 0;
    for (size_t layer = 0; layer < layers_.size(); ++layer) sum += value_of(layer);
    return sum / static_cast<double>(layers_.size());
  }

  template <typename Accept, typename Worth>
  int64_t best_where(const Accept& accept, const Worth& worth_of) const {
    int64_t best = kNoPartition;
    double most = kNotKnown;
    for (size_t i = 0; i < partitions_.size(); ++i) {
      if (!accept(partitions_[i])) continue;
      const double worth = worth_of(static_cast<int64_t>(i));
      if (std::isnan(worth) || worth <= most) continue;
      best = static_cast<int64_t>(i);
      most = worth;
    }
    return best;
  }

  const std::vector<Partition>& partitions_;
  const PartitionCurves& curves_;
  std::vector<int64_t> layers_;  // recorded ones
  size_t prompts_;
  std::vector<double> values_;  // [partitions, layers, prompts] goodness at the density
};

}  // namespace sparsescope
