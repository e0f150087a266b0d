// What `--partitions` may say.
#include "stats/partition_request.h"

#include <gmock/gmock.h>

#include "core/partition_choice.h"
#include "support/expect_error.h"

namespace sparsescope {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const TileGrid kTiles({8, 16, 16}, {4, 4, 4});

TEST(PartitionRequest, NamesSets) {
  EXPECT_EQ(parse_partitions("auto", kTiles).partitions, default_partitions(kTiles.grid()));
  EXPECT_THAT(parse_partitions("none", kTiles).partitions, IsEmpty());
  const MeasuredPartitions named = parse_partitions("temporal:2  st:4,4,8", kTiles);
  ASSERT_EQ(named.partitions.size(), 2u);
  EXPECT_EQ(to_string(named.partitions[1]), "st:4,4,8");
  EXPECT_EQ(named.remark, "");
}

TEST(PartitionRequest, AllSaysWhatItLeavesOut) {
  const MeasuredPartitions few = parse_partitions("all:210", kTiles);
  EXPECT_EQ(few.partitions.size(), 8u);
  EXPECT_EQ(few.remark,
            "8 of 103 legal partitions, of 128 cells and 82 blocks; left out: 34 with blocks of "
            "fewer than 32 tokens, 61 beyond the budget of 210 cells and blocks");
  const MeasuredPartitions all = parse_partitions("all", kTiles);
  EXPECT_EQ(all.partitions, choose_partitions(kTiles, 1 << 14, std::nullopt).chosen);
  EXPECT_GT(all.partitions.size(), 8u);
}

TEST(PartitionRequest, RefusesWhatDoesNotFit) {
  const auto refusal = [&](const char* text) {
    return error_of(ErrorKind::kUsage, [&] { parse_partitions(text, kTiles); });
  };
  EXPECT_THAT(refusal("all:"), HasSubstr("all:BUDGET"));
  EXPECT_THAT(refusal("all:0"), HasSubstr("all:BUDGET"));
  EXPECT_THAT(refusal("all:many"), HasSubstr("many"));
  EXPECT_THAT(refusal("everything"), HasSubstr("everything"));
  EXPECT_THAT(refusal("spatial:3,4"), HasSubstr("h axis"));
  EXPECT_THAT(refusal("temporal:2 temporal:2"), HasSubstr("stands twice"));
}

}  // namespace
}  // namespace sparsescope
