// Checkpoints on disk: golden files of diffusers, original names, streaming, bf16, fp8.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "core/dtype.h"
#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

constexpr double kSampleTolerance = 4e-5;
constexpr double kCaptureTolerance = 6e-5;

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(SPARSESCOPE_TEST_DATA) / "models" / name;
}

ModelInputs tiny_inputs() {
  return {{"hidden_states", filled_input("hidden_states", {1, 4, 2, 4, 6})},
          {"timestep", {{1}, {500.0f}}},
          {"encoder_hidden_states", filled_input("encoder_hidden_states", {1, 5, 16})}};
}

class GoldenFiles : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenFiles, MatchDiffusers) {
  const auto model =
      load_transformer(open_checkpoint_folder(golden(GetParam()) / "checkpoint"), {.threads = 2});
  const Tensors expected = read_tensors(golden(GetParam()) / "a.out.safetensors");
  NaiveHook hook;
  const HostTensor sample =
      model->forward(read_tensors(golden(GetParam()) / "a.in.safetensors"), {}, hook);
  EXPECT_TRUE(near(sample.shape, sample.values, expected.at("sample").shape,
                   expected.at("sample").values, {.max_scaled = kSampleTolerance}));
  ASSERT_EQ(hook.calls.size(), 2u);
  for (size_t layer = 0; layer < 2; ++layer) {
    const NaiveHook::Call& call = hook.calls[layer];
    const std::string suffix = fmt::format(".{}", layer);
    for (const auto& [name, found] : {std::pair{"q", &call.q}, {"k", &call.k}, {"v", &call.v}}) {
      const HostTensor& truth = expected.at(name + suffix);
      EXPECT_TRUE(near(found->shape, found->values, truth.shape, truth.values,
                       {.max_scaled = kCaptureTolerance}))
          << name << suffix;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenFiles, ::testing::Values("wan-t2v", "wan-original"),
                         [](const auto& tested) {
                           return tested.param == "wan-t2v" ? "Diffusers" : "Original";
                         });

TEST(WanStreaming, GivesTheSameBits) {
  TempDir dir;
  const TinyWan wan{.layers = 5};
  const auto folder = write_checkpoint(dir.path(), wan.tensors(), wan.config());
  int64_t parameters = 0, block = 0;
  for (const auto& [name, tensor] : wan.tensors()) {
    parameters += static_cast<int64_t>(tensor.values.size());
    if (name.starts_with("blocks.0.")) block += static_cast<int64_t>(tensor.values.size());
  }
  const int64_t outer = parameters - 5 * block;
  NaiveHook hook;
  const auto resident = load_transformer(folder, {});
  EXPECT_EQ(resident->info().parameters, parameters);
  const HostTensor expected = resident->forward(tiny_inputs(), {}, hook);
  // Only one block at a time, then two of them resident.
  for (const int64_t bound : {4 * (outer + block), 4 * (outer + 3 * block)}) {
    const auto streamed = load_transformer(folder, {.max_memory = bound});
    EXPECT_EQ(streamed->forward(tiny_inputs(), {}, hook).values, expected.values);
  }
  const Error error =
      error_of([&] { load_transformer(folder, {.max_memory = 4 * (outer + block) - 1}); });
  EXPECT_EQ(error.kind(), ErrorKind::kResource);
  EXPECT_THAT(error.what(), HasSubstr(std::to_string(4 * (outer + block))));
}

TEST(WanBf16, StaysNearFp32) {
  const auto folder = open_checkpoint_folder(golden("wan-t2v") / "checkpoint");
  const Tensors inputs = read_tensors(golden("wan-t2v") / "a.in.safetensors");
  const Tensors expected = read_tensors(golden("wan-t2v") / "a.out.safetensors");
  NaiveHook hook;
  const HostTensor y =
      load_transformer(folder, {.compute = Dtype::kBF16})->forward(inputs, {}, hook);
  EXPECT_TRUE(near(y.values, expected.at("sample").values, {.max_scaled = 2e-2}));
  // It did compute in bf16: what the hook received has 8 bits of mantissa.
  for (const float value : hook.calls.at(0).v.values) {
    ASSERT_EQ(value, bf16_to_float(float_to_bf16(value)));
  }
}

// The trained model, stored as bf16, agrees with itself in fp32.
TEST(WanBf16, TrainedModel) {
  const auto folder = open_checkpoint_folder(std::filesystem::path(SPARSESCOPE_DATA) / "tiny-wan");
  const ModelInputs inputs = {{"hidden_states", filled_input("hidden_states", {1, 16, 2, 8, 10})},
                              {"timestep", {{1}, {857.692f}}},
                              {"encoder_hidden_states", filled_input("text", {1, 16, 64})}};
  NaiveHook hook;
  const HostTensor expected = load_transformer(folder, {})->forward(inputs, {}, hook);
  const HostTensor y =
      load_transformer(folder, {.compute = Dtype::kBF16})->forward(inputs, {}, hook);
  EXPECT_TRUE(near(y.values, expected.values, {.max_scaled = 2e-2}));
}

// Values of the decode table of F8_E4M3 that are exact, so that the product is known.
TEST(WanFp8, ScaledWeightsAreDecoded) {
  const TinyWan wan;
  const std::string name = "blocks.0.attn1.to_q";
  const std::vector<float> decoded = {448.0f, 0.015625f, 0.001953125f, -1.5f};
  const std::vector<uint8_t> codes = {0x7E, 0x08, 0x01, 0xBC};
  const float scale = 0.0009765625f;
  Tensors tensors = wan.tensors();
  std::vector<uint8_t> stored(24 * 24);
  for (size_t i = 0; i < stored.size(); ++i) {
    stored[i] = codes[i % 4];
    tensors[name + ".weight"].values[i] = decoded[i % 4] * scale;
  }
  TempDir dir;
  NaiveHook hook;
  const auto plain = write_checkpoint(dir / "plain", tensors, wan.config());
  const HostTensor expected = load_transformer(plain, {})->forward(tiny_inputs(), {}, hook);

  for (const std::string leaf : {".scale_weight", ".weight_scale"}) {
    std::vector<TensorToWrite> list;
    for (const auto& [key, tensor] : tensors) {
      if (key == name + ".weight") continue;
      list.push_back({key, Dtype::kF32, tensor.shape, bytes_of(tensor.values)});
    }
    const std::vector<float> scales = {scale}, hint = {3.0f};
    list.push_back({name + ".weight", Dtype::kF8E4M3, {24, 24}, bytes_of(stored)});
    list.push_back({name + leaf, Dtype::kF32, {}, bytes_of(scales)});
    list.push_back({name + ".input_scale", Dtype::kF32, {}, bytes_of(hint)});
    list.push_back({"scaled_fp8", Dtype::kF8E4M3, {0}, {}});
    const std::filesystem::path file = dir / ("fp8" + leaf + ".safetensors");
    write_safetensors(file, std::move(list), {}, false);
    CheckpointFolder folder = plain;
    folder.transformer = file;
    const auto model = load_transformer(folder, {});
    EXPECT_THAT(model->info().warnings, ::testing::Contains(HasSubstr("1 fp8 tensors decoded, 1")));
    EXPECT_EQ(model->forward(tiny_inputs(), {}, hook).values, expected.values);
  }
}

}  // namespace
}  // namespace sparsescope::testing
