#include <gtest/gtest.h>

#include "core/error.h"
#include "derive/derive.h"

namespace sparsescope {
namespace {

ErrorKind kind_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::kInternal;
}

TEST(DeriveOptions, Targets) {
  EXPECT_EQ(parse_target("recall=0.95").kind, TargetKind::kRecall);
  EXPECT_EQ(parse_target("recall=0.95").value, 0.95);
  EXPECT_EQ(parse_target("density=1").kind, TargetKind::kDensity);
  EXPECT_EQ(parse_target("error=0.05").kind, TargetKind::kError);
  EXPECT_EQ(to_string(parse_target("error=0.05")), "error=0.05");
  EXPECT_EQ(parse_target("speedup=1.8").kind, TargetKind::kSpeedup);
  EXPECT_EQ(to_string(parse_target("speedup=1.8")), "speedup=1.8");
  for (const char* text : {"recall", "recall=", "recall=0", "recall=1.1", "density=-1", "speed=2", "speedup=1", "speedup=0.5", "speedup=inf",
                           "recall=0.5x", "recall=nan", ""}) {
    EXPECT_EQ(kind_of([&] { parse_target(text); }), ErrorKind::kUsage) << text;
  }
}

TEST(DeriveOptions, Choices) {
  EXPECT_EQ(parse_granularity("head-step"), Granularity::kHeadStep);
  EXPECT_EQ(to_string(parse_granularity("layer")), "layer");
  EXPECT_EQ(kind_of([] { parse_granularity("site"); }), ErrorKind::kUsage);
  EXPECT_EQ(parse_weighing("effect"), Weighing::kEffect);
  EXPECT_EQ(kind_of([] { parse_weighing("error"); }), ErrorKind::kUsage);
  EXPECT_EQ(parse_sparse_method("vmoba"), Method::kVmoba);
  EXPECT_EQ(kind_of([] { parse_sparse_method("dense"); }), ErrorKind::kUsage);
}

TEST(DeriveOptions, DensePlaces) {
  EXPECT_EQ(parse_dense_first_steps("auto"), std::nullopt);
  EXPECT_EQ(parse_dense_first_steps("3"), 3);
  EXPECT_EQ(kind_of([] { parse_dense_first_steps("-1"); }), ErrorKind::kUsage);
  EXPECT_EQ(parse_dense_layers("auto"), std::nullopt);
  EXPECT_EQ(parse_dense_layers("none"), std::vector<int64_t>{});
  EXPECT_EQ(parse_dense_layers("7,0,7"), (std::vector<int64_t>{0, 7}));
  for (const char* text : {"", "1,", "a", "0,-1"}) {
    EXPECT_EQ(kind_of([&] { parse_dense_layers(text); }), ErrorKind::kUsage) << text;
  }
}

}  // namespace
}  // namespace sparsescope
