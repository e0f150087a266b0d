#include "export/vmoba_cycle.h"

namespace sparsescope {
namespace {

bool fits(const VmobaSchedule& schedule, const std::vector<std::optional<PartitionKind>>& kinds) {
  for (size_t layer = 0; layer < kinds.size(); ++layer) {
    if (kinds[layer] && *kinds[layer] != partition_kind(schedule, static_cast<int64_t>(layer))) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::optional<VmobaSchedule> find_vmoba_cycle(
    const std::vector<std::optional<PartitionKind>>& kinds) {
  const auto layers = static_cast<int64_t>(kinds.size());
  for (int64_t cycle = 1; cycle <= layers; ++cycle) {
    for (int64_t shift = 0; shift < cycle; ++shift) {
      for (int64_t temporal = cycle; temporal >= 0; --temporal) {
        for (int64_t spatial = cycle - temporal; spatial >= 0; --spatial) {
          const VmobaSchedule schedule{temporal, spatial, cycle - temporal - spatial, shift};
          if (fits(schedule, kinds)) return schedule;
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace sparsescope
