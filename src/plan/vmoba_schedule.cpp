#include "plan/vmoba_schedule.h"

#include "core/error.h"

namespace sparsescope {

PartitionKind partition_kind(const VmobaSchedule& schedule, int64_t layer) {
  const int64_t temporal = schedule.temporal_layers, spatial = schedule.spatial_layers;
  const int64_t cycle = temporal + spatial + schedule.st_layers;
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    temporal >= 0 && spatial >= 0 && schedule.st_layers >= 0 && cycle > 0,
                    "VMoBA schedule: expected layers of at least one kind, found {}, {} and {}",
                    temporal, spatial, schedule.st_layers);
  const int64_t phase = ((layer - schedule.first_full_layer) % cycle + cycle) % cycle;
  if (phase < temporal) return PartitionKind::kTemporal;
  return phase < temporal + spatial ? PartitionKind::kSpatial : PartitionKind::kSpatioTemporal;
}

}  // namespace sparsescope
