#include "summary/partition_chooser.h"

#include <set>

namespace sparsescope {
namespace {

std::vector<int64_t> recorded_layers(const Profile& profile) {
  std::set<int64_t> layers;
  for (size_t call = 0; call < profile.recorded.size(); ++call) {
    if (profile.recorded[call] != 0) layers.insert(static_cast<int64_t>(call) % profile.layers);
  }
  return {layers.begin(), layers.end()};
}

bool any(const Partition&) { return true; }

}  // namespace

PartitionChooser::PartitionChooser(const Profile& profile, const std::vector<Partition>& partitions,
                                   const PartitionCurves& curves, double density, size_t prompts)
    : partitions_(partitions),
      curves_(curves),
      layers_(recorded_layers(profile)),
      prompts_(prompts) {
  for (size_t p = 0; p < partitions.size(); ++p) {
    for (const int64_t layer : layers_) {
      for (size_t prompt = 0; prompt < prompts_; ++prompt) {
        values_.push_back(goodness_at(curves.at(p, layer, prompt), density));
      }
    }
  }
}

double PartitionChooser::value(int64_t partition, size_t layer, size_t prompt) const {
  if (partition == kNoPartition) return kNotKnown;
  return values_[(static_cast<size_t>(partition) * layers_.size() + layer) * prompts_ + prompt];
}

double PartitionChooser::mean(int64_t partition, size_t layer, int64_t left_out) const {
  double sum = 0, count = 0;
  for (size_t prompt = 0; prompt < prompts_; ++prompt) {
    if (static_cast<int64_t>(prompt) == left_out && prompts_ > 1) continue;
    sum += value(partition, layer, prompt);
    ++count;
  }
  return sum / count;
}

int64_t PartitionChooser::best_of_layer(size_t layer, int64_t left_out) const {
  return best_where(any, [&](int64_t partition) { return mean(partition, layer, left_out); });
}

int64_t PartitionChooser::best_on(size_t prompt, size_t layer) const {
  return best_where(any, [&](int64_t partition) { return value(partition, layer, prompt); });
}

Assignment PartitionChooser::best_of_each(int64_t left_out) const {
  Assignment chosen;
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    chosen.push_back(best_of_layer(layer, left_out));
  }
  return chosen;
}

std::array<int64_t, kPartitionKinds> PartitionChooser::kinds_of(const VmobaSchedule& schedule,
                                                                int64_t left_out) const {
  std::array<int64_t, kPartitionKinds> chosen{kNoPartition, kNoPartition, kNoPartition};
  for (size_t kind = 0; kind < kPartitionKinds; ++kind) {
    chosen[kind] =
        best_where([kind](const Partition& one) { return static_cast<size_t>(one.kind) == kind; },
                   [&](int64_t partition) {
                     double sum = 0, count = 0;
                     for (size_t layer = 0; layer < layers_.size(); ++layer) {
                       if (kind_of(schedule, layer) != kind) continue;
                       sum += mean(partition, layer, left_out);
                       ++count;
                     }
                     return sum / count;  // NaN for a kind without layers
                   });
  }
  return chosen;
}

Assignment PartitionChooser::assign(const VmobaSchedule& schedule, int64_t left_out) const {
  const auto kinds = kinds_of(schedule, left_out);
  Assignment chosen;
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    chosen.push_back(kinds[kind_of(schedule, layer)]);
  }
  return chosen;
}

double PartitionChooser::worth(const Assignment& chosen, int64_t left_out) const {
  return mean_over_layers([&](size_t layer) { return mean(chosen[layer], layer, left_out); });
}

double PartitionChooser::worth_on(const Assignment& chosen, size_t prompt) const {
  return mean_over_layers([&](size_t layer) { return value(chosen[layer], layer, prompt); });
}

double PartitionChooser::density_as_good(int64_t partition, int64_t other, size_t layer,
                                         size_t prompt) const {
  if (partition == kNoPartition || other == kNoPartition) return kNotKnown;
  return density_reaching(curves_.at(static_cast<size_t>(partition), layers_[layer], prompt),
                          value(other, layer, prompt));
}

size_t PartitionChooser::kind_of(const VmobaSchedule& schedule, size_t layer) const {
  return static_cast<size_t>(partition_kind(schedule, layers_[layer]));
}

}  // namespace sparsescope
