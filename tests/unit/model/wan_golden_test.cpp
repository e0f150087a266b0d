// The forward pass against values of diffusers 0.38.0 (fp32) that need no files: parameters and
// inputs follow from their names.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {
namespace {

constexpr double kTolerance = 2e-4;  // of max |y|

struct Golden {
  double mean_abs, max_abs;
  std::vector<float> values;  // at 0, 1, 240, 360, 719
};

HostTensor vector_of(std::vector<float> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {{1, count}, std::move(values)};
}

// W1: 3 x 3 x 5 tokens, t = 937.
ModelInputs text_inputs() {
  return {{"hidden_states", filled_input("hidden_states", {1, 4, 3, 6, 10})},
          {"timestep", {{1}, {937.0f}}},
          {"encoder_hidden_states", filled_input("encoder_hidden_states", {1, 12, 16})}};
}

// W2: the first frame's tokens at 0, the rest at 500.
ModelInputs per_token_inputs() {
  ModelInputs inputs = text_inputs();
  std::vector<float> t(45, 500.0f);
  std::fill_n(t.begin(), 15, 0.0f);
  inputs["timestep"] = vector_of(std::move(t));
  return inputs;
}

// W3: with an image branch.
ModelInputs image_inputs() {
  ModelInputs inputs = text_inputs();
  inputs["encoder_hidden_states"] = filled_input("encoder_hidden_states", {1, 512, 16});
  inputs["encoder_hidden_states_image"] = filled_input("image", {1, 7, 20});
  return inputs;
}

class WanGolden : public ::testing::Test {
 protected:
  HostTensor run(const TinyWan& wan, const ModelInputs& inputs) {
    const auto folder = write_checkpoint(dir_ / "checkpoint", wan.tensors(), wan.config());
    const auto model = load_transformer(folder, {.threads = 2});
    EXPECT_TRUE(model->info().warnings.empty());
    return model->forward(inputs, {.prompt = 3, .step = 5}, hook_);
  }

  // Three values of a captured tensor [1, H, S, D].
  static std::vector<float> head_of(const HostTensor& x, int64_t head, int64_t row) {
    const auto at = static_cast<size_t>((head * x.shape[2] + row) * x.shape[3]);
    return {x.values[at], x.values[at + 1], x.values[at + 2]};
  }

  void expect_capture(int64_t head, int64_t row, std::vector<float> q, std::vector<float> k,
                      std::vector<float> v) {
    const NaiveHook::Call& call = hook_.calls.at(0);
    EXPECT_TRUE(near(head_of(call.q, head, row), q, {.max_abs = 2e-4}));
    EXPECT_TRUE(near(head_of(call.k, head, row), k, {.max_abs = 2e-4}));
    EXPECT_TRUE(near(head_of(call.v, head, row), v, {.max_abs = 5e-4}));
  }

  TempDir dir_;
  NaiveHook hook_;
};

void expect_output(const HostTensor& y, const Golden& golden) {
  ASSERT_EQ(y.shape, (std::vector<int64_t>{1, 4, 3, 6, 10}));
  double sum = 0, largest = 0;
  for (const float value : y.values) {
    sum += std::abs(value);
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  const double slack = kTolerance * golden.max_abs;
  EXPECT_NEAR(sum / static_cast<double>(y.values.size()), golden.mean_abs, slack);
  EXPECT_NEAR(largest, golden.max_abs, slack);
  const std::vector<size_t> indices = {0, 1, 240, 360, 719};
  for (size_t i = 0; i < indices.size(); ++i) {
    EXPECT_NEAR(y.values[indices[i]], golden.values[i], slack) << "y[" << indices[i] << "]";
  }
}

TEST(FillRule, MatchesItsCheckValues) {
  EXPECT_TRUE(near(fill_values("a", 4, 1.0, 0.0),
                   std::vector<float>{-0.25653815f, 0.99624455f, 0.98421299f, 0.37188172f},
                   {.max_abs = 1e-8}));
  const auto first = [](const HostTensor& x) {
    return std::vector<float>(x.values.begin(), x.values.begin() + 3);
  };
  EXPECT_TRUE(near(first(filled_parameter("blocks.0.attn1.norm_q.weight", {24})),
                   std::vector<float>{0.85071f, 0.89273f, 1.16736f}, {.max_abs = 1e-5}));
  EXPECT_TRUE(near(first(filled_parameter("blocks.0.attn1.to_q.bias", {24})),
                   std::vector<float>{0.12481f, -0.16253f, 0.19412f}, {.max_abs = 1e-5}));
  EXPECT_TRUE(near(first(filled_parameter("blocks.0.attn1.to_q.weight", {24, 24})),
                   std::vector<float>{-0.07631f, -0.09383f, 0.29009f}, {.max_abs = 1e-5}));
}

TEST_F(WanGolden, TextToVideo) {
  const HostTensor y = run({}, text_inputs());
  expect_output(y, {3.864171, 9.72376, {8.71217f, -1.31141f, 4.92667f, -3.66932f, 3.40208f}});
  ASSERT_EQ(hook_.calls.size(), 2u);
  expect_capture(1, 44, {0.50301f, 0.93907f, -1.86746f}, {-0.12940f, -0.79197f, -1.03266f},
                 {-2.54217f, -5.54378f, 7.84906f});
  expect_capture(0, 0, {0.31413f, 0.20368f, 0.01364f}, {1.16635f, 0.74721f, 0.17042f},
                 {-4.76132f, -5.34186f, -0.15208f});
  const HostTensor& out = hook_.calls[0].out;  // before to_out
  EXPECT_TRUE(near(head_of(out, 1, 44), std::vector<float>{-3.07098f, -5.08911f, -0.98271f},
                   {.max_abs = 5e-4}));
  EXPECT_TRUE(near(head_of(out, 0, 0), std::vector<float>{-11.92692f, -1.56699f, 5.26160f},
                   {.max_abs = 5e-4}));
}

TEST_F(WanGolden, PerTokenTimesteps) {
  const HostTensor y = run({}, per_token_inputs());
  expect_output(y, {4.624793, 11.26533, {-3.59917f, -2.90391f, -4.43173f, -7.31388f, 0.60218f}});
  expect_capture(1, 44, {-0.09935f, 0.36961f, -0.08640f}, {0.06804f, -0.95750f, -0.90012f},
                 {2.12219f, -2.13640f, -9.85108f});
}

TEST_F(WanGolden, ImageToVideo) {
  const HostTensor y = run({.image_dim = 20}, image_inputs());
  expect_output(y, {3.870019, 9.74747, {8.81369f, -1.37523f, 4.90057f, -3.65437f, 3.42402f}});
  expect_capture(1, 44, {0.50301f, 0.93907f, -1.86746f}, {-0.12940f, -0.79197f, -1.03266f},
                 {-2.54217f, -5.54378f, 7.84906f});
}

TEST_F(WanGolden, HandsTheHookItsSite) {
  run({}, text_inputs());
  ASSERT_EQ(hook_.calls.size(), 2u);
  for (int64_t layer = 0; layer < 2; ++layer) {
    const NaiveHook::Call& call = hook_.calls[static_cast<size_t>(layer)];
    EXPECT_EQ(call.site.layer, layer);
    EXPECT_EQ(call.site.prompt, 3);
    EXPECT_EQ(call.site.step, 5);
    EXPECT_EQ(call.grid, (TokenGrid{3, 3, 5}));
    EXPECT_EQ(call.q.shape, (std::vector<int64_t>{1, 2, 45, 12}));
    EXPECT_FLOAT_EQ(call.scale, 1.0f / std::sqrt(12.0f));
  }
}

TEST_F(WanGolden, EqualTimestepsOfAllTokensAreOneTimestep) {
  const HostTensor expected = run({}, text_inputs());
  ModelInputs inputs = text_inputs();
  inputs["timestep"] = vector_of(std::vector<float>(45, 937.0f));
  TempDir other;
  const auto folder = write_checkpoint(other.path(), TinyWan{}.tensors(), TinyWan{}.config());
  const HostTensor y = load_transformer(folder, {})->forward(inputs, {}, hook_);
  EXPECT_TRUE(near(y.shape, y.values, expected.shape, expected.values, {.max_scaled = 1e-6}));
}

// A batch of two different samples is two calls of one.
TEST_F(WanGolden, BatchIsIndependentSamples) {
  const auto folder =
      write_checkpoint(dir_ / "checkpoint", TinyWan{}.tensors(), TinyWan{}.config());
  const auto model = load_transformer(folder, {});
  ModelInputs both;
  std::vector<HostTensor> alone;
  for (const float t : {937.0f, 12.5f}) {
    ModelInputs one = text_inputs();
    if (t < 100) {
      for (float& value : one["hidden_states"].values) value *= -0.5f;
    }
    one["timestep"] = {{1}, {t}};
    alone.push_back(model->forward(one, {}, hook_));
    for (const auto& [name, tensor] : one) {
      HostTensor& joined = both[name];
      joined.shape = tensor.shape;
      joined.shape[0] = 2;
      joined.values.insert(joined.values.end(), tensor.values.begin(), tensor.values.end());
    }
  }
  const HostTensor y = model->forward(both, {}, hook_);
  std::vector<float> expected = alone[0].values;
  expected.insert(expected.end(), alone[1].values.begin(), alone[1].values.end());
  EXPECT_TRUE(near(y.values, expected, {.max_scaled = 1e-5}));
}

// The position embedding is added to the rows of both frames: the same as an image-to-video model
// that is given the sum.
TEST_F(WanGolden, FirstAndLastFrame) {
  const TinyWan both_frames{.image_dim = 20, .pos_embed_rows = 14};
  const Tensors tensors = both_frames.tensors();
  const std::string pos_embed = "condition_embedder.image_embedder.pos_embed";
  ModelInputs inputs = image_inputs();
  inputs["encoder_hidden_states_image"] = filled_input("image", {2, 7, 20});
  const HostTensor y = run(both_frames, inputs);

  HostTensor sum = filled_input("image", {1, 14, 20});
  for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += tensors.at(pos_embed).values[i];
  inputs["encoder_hidden_states_image"] = sum;
  Tensors without = tensors;
  without.erase(pos_embed);
  const TinyWan image{.image_dim = 20};
  const auto folder = write_checkpoint(dir_ / "image", without, image.config());
  const HostTensor expected = load_transformer(folder, {.threads = 2})->forward(inputs, {}, hook_);
  EXPECT_TRUE(near(y.values, expected.values, {.max_scaled = 1e-6}));
}

}  // namespace
}  // namespace sparsescope::testing
