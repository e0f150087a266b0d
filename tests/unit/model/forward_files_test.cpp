// One forward pass from file to file, and the hook that records what attention receives.
#include "capture/forward_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "capture/record_hook.h"
#include "checkpoint/safetensors.h"
#include "core/dtype.h"
#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(SPARSESCOPE_TEST_DATA) / "models" / "wan-t2v" / name;
}

TEST(RecordHook, CopiesStridedTensorsOfChosenLayers) {
  // [B 1, S 2, H 2, D 2] in memory, seen as [B, H, S, D]
  const std::vector<float> memory = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<uint16_t> half;
  for (const float value : memory) half.push_back(float_to_bf16(value));
  AttentionTensor q{.data = memory.data(),
                    .dtype = Dtype::kF32,
                    .batch = 1,
                    .heads = 2,
                    .tokens = 2,
                    .head_dim = 2,
                    .stride_batch = 8,
                    .stride_head = 2,
                    .stride_token = 4};
  AttentionTensor k = q;
  k.data = half.data();
  k.dtype = Dtype::kBF16;
  std::vector<float> out(8);
  NaiveHook inner;
  RecordHook recorder(inner, [](const SiteKey& site) { return site.layer == 1; });
  for (int64_t layer = 0; layer < 3; ++layer) {
    recorder.attend({.site = {.layer = layer},
                     .grid = {1, 1, 2},
                     .q = q,
                     .k = k,
                     .v = q,
                     .out = contiguous_output(out.data(), 2, 2, 2)});
  }
  EXPECT_EQ(inner.calls.size(), 3u);
  const std::vector<RecordedCall> calls = recorder.take();
  ASSERT_EQ(calls.size(), 1u);
  const RecordedCall& call = calls[0];
  EXPECT_EQ(call.site.layer, 1);
  EXPECT_THAT(call.q.shape, ElementsAre(1, 2, 2, 2));
  EXPECT_THAT(call.q.values, ElementsAre(1, 2, 5, 6, 3, 4, 7, 8));
  EXPECT_EQ(call.k.values, call.q.values);
  EXPECT_THAT(recorder.take(), ::testing::IsEmpty());

  RecordHook one_head(inner, [](const SiteKey&) { return true; }, {1});
  one_head.attend({.grid = {1, 1, 2},
                   .scale = 0.5f,
                   .q = q,
                   .k = k,
                   .v = q,
                   .out = contiguous_output(out.data(), 2, 2, 2)});
  const RecordedCall second = one_head.take().at(0);
  EXPECT_THAT(second.heads, ElementsAre(1));
  EXPECT_EQ(second.scale, 0.5f);
  EXPECT_THAT(second.k.shape, ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(second.k.values, ElementsAre(3, 4, 7, 8));
}

TEST(ForwardFiles, WritesSampleAndCaptures) {
  TempDir dir;
  const auto model = load_transformer(open_checkpoint_folder(golden("checkpoint")), {});
  NaiveHook hook;
  const auto out = dir / "out.safetensors";
  const ForwardResult result = forward_to_file(
      *model, read_model_inputs(golden("a.in.safetensors")), {0, 1}, hook, out, false);
  EXPECT_THAT(result.sample_shape, ElementsAre(1, 4, 3, 8, 10));
  const Tensors found = read_tensors(out), expected = read_tensors(golden("a.out.safetensors"));
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_TRUE(near(found.at(name).shape, found.at(name).values, tensor.shape, tensor.values,
                     {.max_scaled = 4e-5}))
        << name;
  }
}

TEST(ForwardFiles, WritesNothingOnFailure) {
  TempDir dir;
  const auto model = load_transformer(open_checkpoint_folder(golden("checkpoint")), {});
  ModelInputs inputs = read_model_inputs(golden("a.in.safetensors"));
  inputs.erase("timestep");
  NaiveHook hook;
  const auto out = dir / "out.safetensors";
  EXPECT_THROW(forward_to_file(*model, inputs, {}, hook, out, false), Error);
  EXPECT_EQ(dir.num_entries(), 0u);
}

TEST(ForwardFiles, ReadsIntegersExactly) {
  TempDir dir;
  const std::vector<int64_t> t = {937, 16777216};
  write_safetensors(dir / "in.safetensors", {{"timestep", Dtype::kI64, {2}, bytes_of(t)}}, {},
                    false);
  EXPECT_THAT(read_model_inputs(dir / "in.safetensors").at("timestep").values,
              ElementsAre(937.0f, 16777216.0f));
  const std::vector<int64_t> large = {16777217};
  write_safetensors(dir / "bad.safetensors", {{"timestep", Dtype::kI64, {1}, bytes_of(large)}}, {},
                    false);
  const Error error = error_of([&] { read_model_inputs(dir / "bad.safetensors"); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error.what(), HasSubstr("16777217"));
}

TEST(CaptureLayers, AreParsed) {
  EXPECT_THAT(parse_layers("", 4), IsEmpty());
  EXPECT_THAT(parse_layers("all", 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(parse_layers("3,0,3", 4), ElementsAre(0, 3));
  for (const char* bad :
       {"4", "-1", "1,", ",1", "1,,2", "x", "1 2", "all,1", "99999999999999999999"}) {
    const Error error = error_of([&] { parse_layers(bad, 4); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << bad;
    EXPECT_THAT(error.what(), HasSubstr("0 to 3")) << bad;
  }
}

}  // namespace
}  // namespace sparsescope::testing
