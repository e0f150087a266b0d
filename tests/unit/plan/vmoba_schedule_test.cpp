#include "plan/vmoba_schedule.h"

#include <string>

#include "support/expect_error.h"

namespace sparsescope {
namespace {

// "123": 1D, 2D, 3D
std::string kinds(const VmobaSchedule& schedule, int64_t layers) {
  std::string text;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const PartitionKind kind = partition_kind(schedule, layer);
    text += kind == PartitionKind::kTemporal ? '1' : kind == PartitionKind::kSpatial ? '2' : '3';
  }
  return text;
}

TEST(VmobaSchedule, CyclesThroughThePartitions) {
  EXPECT_EQ(kinds({}, 30), "123123123123123123123123123123");
  EXPECT_EQ(kinds({2, 1, 1, 0}, 9), "112311231");
  EXPECT_EQ(kinds({0, 1, 1, 0}, 5), "23232");
  EXPECT_EQ(kinds({0, 0, 3, 0}, 4), "3333");
}

TEST(VmobaSchedule, TheFirstFullLayerShiftsThePhase) {
  EXPECT_EQ(kinds({1, 1, 1, 2}, 6), "231231");
  EXPECT_EQ(kinds({1, 1, 1, 100}, 3), "312");
}

TEST(VmobaSchedule, RefusesAnEmptyCycle) {
  testing::error_of(ErrorKind::kUsage, [] { partition_kind({0, 0, 0, 0}, 1); });
  testing::error_of(ErrorKind::kUsage, [] { partition_kind({-1, 1, 1, 0}, 1); });
}

}  // namespace
}  // namespace sparsescope
