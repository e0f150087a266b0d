// What is wrong with a checkpoint or an input is said by name, and nothing is half loaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/state_dict.h"
#include "model/wan_names.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WanCheckpoints : public ::testing::Test {
 protected:
  CheckpointFolder write(const Tensors& tensors, const std::string& config) {
    return write_checkpoint(dir_ / std::to_string(count_++), tensors, config);
  }
  ModelInfo describe(const Tensors& tensors, const std::string& config) {
    const CheckpointFolder folder = write(tensors, config);
    return describe_checkpoint(folder, StateDict::open(folder.transformer));
  }
  // Loading and describing must agree on the error.
  void expect_error(const Tensors& tensors, const std::string& config, ErrorKind kind,
                    const ::testing::Matcher<std::string>& message) {
    const CheckpointFolder folder = write(tensors, config);
    const Error loading = error_of([&] { load_transformer(folder, {}); });
    EXPECT_EQ(loading.kind(), kind) << loading.what();
    EXPECT_THAT(std::string(loading.what()), message);
    const Error describing =
        error_of([&] { describe_checkpoint(folder, StateDict::open(folder.transformer)); });
    EXPECT_STREQ(describing.what(), loading.what());
  }

  TempDir dir_;
  int count_ = 0;
  TinyWan wan_;
  Tensors tensors_ = wan_.tensors();
};

TEST_F(WanCheckpoints, Described) {
  const ModelInfo info = describe(tensors_, wan_.config());
  EXPECT_EQ(info.family, "wan");
  EXPECT_EQ(info.variant, "text-to-video");
  EXPECT_EQ(info.layers, 2);
  EXPECT_EQ(info.heads, 2);
  EXPECT_EQ(info.head_dim, 12);
  EXPECT_EQ(info.text_dim, 16);
  EXPECT_EQ(info.ffn_dim, 32);
  EXPECT_FALSE(info.has_gate_compress);
  EXPECT_THAT(info.layer_names, ElementsAre("blocks.0.attn1", "blocks.1.attn1"));
  EXPECT_THAT(info.warnings, IsEmpty());
  const ModelInfo image =
      describe(TinyWan{.image_dim = 20}.tensors(), "{\"num_attention_heads\": 2}");
  EXPECT_EQ(image.variant, "image-to-video");
  EXPECT_EQ(image.image_rows, 257);
  EXPECT_EQ(info.image_rows, 0);
  const TinyWan channels{.in_channels = 9};  // Wan 2.2 I2V: no image branch
  EXPECT_EQ(describe(channels.tensors(), channels.config()).variant, "image-to-video");
}

TEST_F(WanCheckpoints, HeadsWithoutConfigAreOf128) {
  const TinyWan wide{.heads = 2, .head_dim = 128, .layers = 1};
  EXPECT_EQ(describe(wide.tensors(), "").heads, 2);
  expect_error(tensors_, "", ErrorKind::kData,
               AllOf(HasSubstr("24"), HasSubstr("without a config.json")));
}

TEST_F(WanCheckpoints, ConfigIsContradictedByTensors) {
  std::string config = wan_.config();
  config.replace(config.find("\"ffn_dim\": 32"), 13, "\"ffn_dim\": 99");
  config.replace(config.find("\"image_dim\": null"), 17, "\"image_dim\": 1280");
  const ModelInfo info = describe(tensors_, config);
  EXPECT_EQ(info.ffn_dim, 32);
  EXPECT_THAT(info.warnings,
              Contains(AllOf(HasSubstr("ffn_dim"), HasSubstr("99"), HasSubstr("32"))));
  EXPECT_THAT(info.warnings, Contains(AllOf(HasSubstr("image_dim"), HasSubstr("1280"))));
}

TEST_F(WanCheckpoints, ConfigWithOtherWidthOrMoreLayers) {
  std::string heads = wan_.config();
  heads.replace(heads.find("\"num_attention_heads\": 2"), 24, "\"num_attention_heads\": 5");
  expect_error(tensors_, heads, ErrorKind::kData, AllOf(HasSubstr("24"), HasSubstr("5 x 12")));
  std::string layers = wan_.config();
  layers.replace(layers.find("\"num_layers\": 2"), 15, "\"num_layers\": 3");
  expect_error(tensors_, layers, ErrorKind::kData, HasSubstr("expected 3 blocks"));
}

TEST_F(WanCheckpoints, MissingTensor) {
  for (const std::string name :
       {"blocks.1.attn1.to_k.bias", "condition_embedder.time_proj.weight", "proj_out.weight"}) {
    Tensors damaged = tensors_;
    damaged.erase(name);
    expect_error(damaged, wan_.config(), ErrorKind::kData, HasSubstr(name));
  }
}

TEST_F(WanCheckpoints, MissingBlock) {
  std::erase_if(tensors_, [](const auto& entry) { return entry.first.starts_with("blocks.0."); });
  expect_error(tensors_, wan_.config(), ErrorKind::kData, HasSubstr("blocks.0"));
}

TEST_F(WanCheckpoints, WrongShape) {
  tensors_["blocks.1.attn2.to_v.weight"] = HostTensor::zeros({24, 23});
  expect_error(
      tensors_, wan_.config(), ErrorKind::kData,
      AllOf(HasSubstr("blocks.1.attn2.to_v.weight"), HasSubstr("[24, 24]"), HasSubstr("[24, 23]")));
}

TEST_F(WanCheckpoints, LeftoverTensor) {
  tensors_["blocks.1.attn1.surprise.weight"] = HostTensor::zeros({3});
  expect_error(tensors_, wan_.config(), ErrorKind::kData,
               HasSubstr("blocks.1.attn1.surprise.weight"));
}

TEST_F(WanCheckpoints, OtherFamilies) {
  const auto with = [](const std::string& name) { return Tensors{{name, HostTensor::zeros({2})}}; };
  expect_error(with("layers.0.weight"), "", ErrorKind::kUnsupported,
               AllOf(HasSubstr("unknown model family"), HasSubstr("WanTransformer3DModel")));
  expect_error(with("single_transformer_blocks.0.proj_mlp.weight"), "", ErrorKind::kUnsupported,
               AllOf(HasSubstr("HunyuanVideo"), HasSubstr("supported: Wan")));
  tensors_["vace_blocks.0.proj_in.weight"] = HostTensor::zeros({2});
  expect_error(tensors_, wan_.config(), ErrorKind::kUnsupported, HasSubstr("VACE"));
}

TEST_F(WanCheckpoints, UnsupportedQuantisation) {
  const std::string weight = "blocks.0.attn1.to_q.weight_scale";
  tensors_[weight] = HostTensor::zeros({24, 1});
  expect_error(tensors_, wan_.config(), ErrorKind::kUnsupported, HasSubstr(weight));
}

TEST_F(WanCheckpoints, PrefixesAndOtherModelsAreStripped) {
  Tensors wrapped = {{"vae.conv.weight", HostTensor::zeros({4})}};
  for (const auto& [name, tensor] : tensors_) wrapped["model.diffusion_model." + name] = tensor;
  const ModelInfo info = describe(wrapped, wan_.config());
  EXPECT_EQ(info.layers, 2);
  EXPECT_THAT(info.warnings, ElementsAre(HasSubstr("1 tensors of other models")));
}

TEST_F(WanCheckpoints, GateWeightsAreRecorded) {
  for (const std::string block : {"blocks.0.", "blocks.1."}) {
    tensors_[block + "attn1.to_gate_compress.weight"] = HostTensor::zeros({24, 24});
    tensors_[block + "attn1.to_gate_compress.bias"] = HostTensor::zeros({24});
  }
  const ModelInfo info = describe(tensors_, wan_.config());
  EXPECT_TRUE(info.has_gate_compress);
  EXPECT_THAT(info.warnings, ElementsAre(HasSubstr("to_gate_compress")));
}

TEST_F(WanCheckpoints, HalfPrecisionIsRefused) {
  const CheckpointFolder folder = write(tensors_, wan_.config());
  const Error error = error_of([&] { load_transformer(folder, {.compute = Dtype::kF16}); });
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("bf16"));
}

// Each input wrong in turn.
TEST_F(WanCheckpoints, Inputs) {
  const auto model = load_transformer(write(tensors_, wan_.config()), {});
  const ModelInputs good = {{"hidden_states", HostTensor::zeros({1, 4, 2, 4, 6})},
                            {"timestep", {{1}, {5.0f}}},
                            {"encoder_hidden_states", HostTensor::zeros({1, 5, 16})}};
  NaiveHook hook;
  EXPECT_EQ(model->forward(good, {}, hook).shape, (std::vector<int64_t>{1, 4, 2, 4, 6}));
  struct Case {
    std::string name;
    std::vector<int64_t> shape;
    std::string expected;
  };
  for (const Case& bad :
       {Case{"hidden_states", {1, 3, 2, 4, 6}, "[1, 3, 2, 4, 6]"},
        Case{"hidden_states", {1, 4, 2, 5, 6}, "divisible by the patch 1,2,2"},
        Case{"hidden_states", {1, 4, 2, 4, 66}, "at most 32"},
        Case{"timestep", {2}, "[1] or [1, 12]"}, Case{"timestep", {1, 11}, "[1] or [1, 12]"},
        Case{"encoder_hidden_states", {1, 5, 17}, "[1, rows, 16]"},
        Case{"encoder_hidden_states", {2, 5, 16}, "[1, rows, 16]"},
        Case{"encoder_hidden_states_image", {1, 7, 20}, "expected none"}}) {
    ModelInputs inputs = good;
    inputs[bad.name] = HostTensor::zeros(bad.shape);
    const Error error = error_of([&] { model->forward(inputs, {}, hook); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr(bad.expected)) << bad.name;
  }
  for (const auto& [name, tensor] : good) {
    ModelInputs inputs = good;
    inputs.erase(name);
    const Error error = error_of([&] { model->forward(inputs, {}, hook); });
    EXPECT_THAT(error.what(), AllOf(HasSubstr(name), HasSubstr("found none")));
  }
  EXPECT_EQ(hook.calls.size(), 2u);  // no wrong input reached the attention
  EXPECT_EQ(model->token_grid({1, 4, 2, 4, 6}), (TokenGrid{2, 2, 3}));
  EXPECT_EQ(error_of([&] { model->token_grid({1, 4, 2, 4, 7}); }).kind(), ErrorKind::kUsage);
}

TEST_F(WanCheckpoints, ImageBranchTakes512TextRows) {
  const TinyWan image{.image_dim = 20};
  const auto model = load_transformer(write(image.tensors(), image.config()), {});
  const ModelInputs inputs = {{"hidden_states", HostTensor::zeros({1, 4, 2, 4, 6})},
                              {"timestep", {{1}, {5.0f}}},
                              {"encoder_hidden_states", HostTensor::zeros({1, 226, 16})},
                              {"encoder_hidden_states_image", HostTensor::zeros({1, 7, 20})}};
  NaiveHook hook;
  const Error error = error_of([&] { model->forward(inputs, {}, hook); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("512"), HasSubstr("226")));
}

TEST(WanNames, AreMappedByWholeComponents) {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"text_embedding.2.bias", "condition_embedder.text_embedder.linear_2.bias"},
      {"time_projection.1.weight", "condition_embedder.time_proj.weight"},
      {"head.head.weight", "proj_out.weight"},
      {"head.modulation", "scale_shift_table"},
      {"blocks.11.modulation", "blocks.11.scale_shift_table"},
      {"blocks.3.norm3.weight", "blocks.3.norm2.weight"},
      {"blocks.3.self_attn.o.weight", "blocks.3.attn1.to_out.0.weight"},
      {"blocks.3.self_attn.q.scale_weight", "blocks.3.attn1.to_q.scale_weight"},
      {"blocks.3.cross_attn.norm_q.weight", "blocks.3.attn2.norm_q.weight"},
      {"blocks.3.cross_attn.v_img.bias", "blocks.3.attn2.add_v_proj.bias"},
      {"blocks.3.cross_attn.norm_k_img.weight", "blocks.3.attn2.norm_added_k.weight"},
      {"blocks.3.ffn.0.weight", "blocks.3.ffn.net.0.proj.weight"},
      {"img_emb.proj.3.weight", "condition_embedder.image_embedder.ff.net.2.weight"},
      {"img_emb.proj.4.bias", "condition_embedder.image_embedder.norm2.bias"},
      {"img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"},
      {"patch_embedding.weight", "patch_embedding.weight"},
      {"blocks.x.norm3.weight", "blocks.x.norm3.weight"},
      {"extra.head.modulation", "extra.head.modulation"}};
  for (const auto& [original, expected] : names) EXPECT_EQ(wan_diffusers_name(original), expected);
}

}  // namespace
}  // namespace sparsescope::testing
