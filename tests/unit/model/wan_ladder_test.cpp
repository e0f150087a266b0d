// The steps of one forward pass (W1) against values of diffusers 0.38.0, to find the first wrong
// step.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/detect.h"
#include "model/rope.h"
#include "model/torch_util.h"
#include "model/wan_block.h"
#include "model/wan_embeddings.h"
#include "model/wan_schema.h"
#include "model/weight_map.h"
#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

constexpr double kTolerance = 2e-5;  // of values around 1: the golden ones have five decimals

class WanLadder : public ::testing::Test {
 protected:
  WanLadder()
      : folder_(write_checkpoint(dir_.path(), TinyWan{}.tensors(), TinyWan{}.config())),
        model_(detect_model(folder_, StateDict::open(folder_.transformer))),
        outer_(WeightMap::load(model_.weights, wan_outer_specs(model_.config), "", at::kFloat)) {}

  TimeEmbedding time() const { return embed_time(at::full({1}, 937.0f), model_.config, outer_); }
  at::Tensor text() const {
    return embed_text(view_of(text_input_), outer_);  // [1, 12, C]
  }
  at::Tensor patches() const {
    return embed_patches(view_of(latent_input_), grid_, model_.config, outer_);  // [1, S, C]
  }

  static std::vector<float> first_three(const at::Tensor& x) {
    const at::Tensor flat = x.flatten().slice(0, 0, 3).contiguous();
    return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
  }

  c10::InferenceMode guard_;
  TempDir dir_;
  TokenGrid grid_{3, 3, 5};
  HostTensor text_input_ = filled_input("encoder_hidden_states", {1, 12, 16});
  HostTensor latent_input_ = filled_input("hidden_states", {1, 4, 3, 6, 10});
  CheckpointFolder folder_;
  DetectedModel model_;
  WeightMap outer_;
};

TEST_F(WanLadder, TimeEmbedding) {
  EXPECT_TRUE(near(first_three(time().e), std::vector<float>{1.76546f, 0.76924f, 2.35465f},
                   {.max_abs = 2e-4}));
  EXPECT_TRUE(near(first_three(time().e6), std::vector<float>{-4.33159f, 1.98414f, 0.32367f},
                   {.max_abs = 4e-4}));
}

TEST_F(WanLadder, TextAndPatches) {
  EXPECT_TRUE(near(first_three(text()[0][0]), std::vector<float>{-1.01882f, -0.63864f, 0.29581f},
                   {.max_abs = kTolerance}));
  EXPECT_TRUE(near(first_three(text()[0][11]), std::vector<float>{0.59428f, 0.45404f, -0.67864f},
                   {.max_abs = kTolerance}));
  EXPECT_TRUE(near(first_three(patches()[0][0]), std::vector<float>{-0.89882f, -1.04520f, 0.20795f},
                   {.max_abs = kTolerance}));
  EXPECT_TRUE(near(first_three(patches()[0][44]), std::vector<float>{1.12725f, 0.39859f, -0.23830f},
                   {.max_abs = kTolerance}));
}

TEST_F(WanLadder, RotaryAngles) {
  const at::Tensor table = at::view_as_real(rope_table(grid_, 12));  // [S, 1, 6, 2]
  const at::Tensor cosines = table.select(0, 44).select(0, 0).select(1, 0).contiguous();
  const std::vector<float> found(cosines.data_ptr<float>(), cosines.data_ptr<float>() + 6);
  EXPECT_TRUE(
      near(found, std::vector<float>{-0.41615f, 0.99980f, -0.41615f, 0.99980f, -0.65364f, 0.99920f},
           {.max_abs = 1e-5}));
}

// d_h = d_w = 2 * floor(D / 6): 128 gives 44, 42, 42, so the first angle of h stands at index 22.
TEST(RopeTable, SplitsTheHeadDimOverTheAxes) {
  const at::Tensor table = at::view_as_real(rope_table({2, 3, 4}, 128)).contiguous();
  ASSERT_EQ(table.sizes(), (std::vector<int64_t>{24, 1, 64, 2}));
  const float* token = table.data_ptr<float>() + 23 * 128;  // (1, 2, 3)
  EXPECT_NEAR(token[0], std::cos(1.0), 1e-6);
  EXPECT_NEAR(token[2 * 1], std::cos(std::pow(10000.0, -2.0 / 44)), 1e-6);
  EXPECT_NEAR(token[2 * 22], std::cos(2.0), 1e-6);
  EXPECT_NEAR(token[2 * 43 + 1], std::sin(3.0), 1e-6);
  EXPECT_NEAR(token[2 * 44 + 1], std::sin(3.0 * std::pow(10000.0, -2.0 / 42)), 1e-6);
}

// Pairs (2j, 2j+1): (a, b) -> (a cos - b sin, a sin + b cos).
TEST(RopeTable, RotatesInterleavedPairs) {
  const at::Tensor table = rope_table({2, 1, 1}, 6);  // one angle an axis: 1, 0, 0 for token 1
  const at::Tensor x = apply_rope(at::arange(1, 13, at::kFloat).view({1, 2, 1, 6}), table);
  const std::vector<float> found(x.data_ptr<float>(), x.data_ptr<float>() + 12);
  const double c = std::cos(1.0), s = std::sin(1.0);
  const std::vector<double> expected = {1, 2,  3,  4, 5, 6, 7 * c - 8 * s, 7 * s + 8 * c,
                                        9, 10, 11, 12};
  EXPECT_TRUE(near(found, expected, {.max_abs = 2e-6}));
}

TEST_F(WanLadder, BlockOutputs) {
  NaiveHook hook;
  const WanPass pass{.config = &model_.config,
                     .grid = grid_,
                     .time = time(),
                     .text = text(),
                     .image = {},
                     .rope = rope_table(grid_, 12),
                     .hook = &hook};
  struct Expected {
    std::vector<float> token_0, token_44;
  };
  const std::vector<Expected> expected = {
      {{-19.85427f, 210.13670f, -45.82822f}, {-13.61852f, 203.73407f, -49.34842f}},
      {{-7.81436f, 271.73438f, -41.35381f}, {-1.42736f, 265.76779f, -46.50201f}}};
  at::Tensor x = patches();
  for (size_t layer = 0; layer < expected.size(); ++layer) {
    const auto weights = WeightMap::load(model_.weights, wan_block_specs(model_.config),
                                         wan_block_prefix(static_cast<int64_t>(layer)), at::kFloat);
    x = run_wan_block(x, weights, pass, {});
    EXPECT_TRUE(near(first_three(x[0][0]), expected[layer].token_0, {.max_scaled = 1e-4}));
    EXPECT_TRUE(near(first_three(x[0][44]), expected[layer].token_44, {.max_scaled = 1e-4}));
  }
}

// [cos, sin] with frequencies 10000^(-j/half), in fp32.
TEST(TimestepSinusoid, IsCosineThenSine) {
  const at::Tensor x = timestep_sinusoid(at::full({1}, 2.0f), 8).contiguous();
  const std::vector<float> found(x.data_ptr<float>(), x.data_ptr<float>() + 8);
  std::vector<double> expected(8);
  for (int j = 0; j < 4; ++j) {
    const double angle = 2.0 * std::pow(10000.0, -j / 4.0);
    expected[static_cast<size_t>(j)] = std::cos(angle);
    expected[static_cast<size_t>(j + 4)] = std::sin(angle);
  }
  EXPECT_TRUE(near(found, expected, {.max_abs = 1e-6}));
}

}  // namespace
}  // namespace sparsescope::testing
