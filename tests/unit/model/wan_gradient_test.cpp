// The pull-back of directions through the model. Its truth is the forward pass alone: attention's
// output is moved at one layer, and the model's output follows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/naive_backward.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

constexpr SiteKey kSite{.prompt = 2, .branch = Branch::kUnconditional, .step = 4};

struct Variant {
  const char* name;
  TinyWan wan;
  ModelInputs inputs;
};

// 2 x 2 x 3 tokens.
ModelInputs text_inputs(int64_t batch = 1) {
  return {{"hidden_states", filled_input("hidden_states", {batch, 4, 2, 4, 6})},
          {"timestep", {{batch}, std::vector<float>(static_cast<size_t>(batch), 937.0f)}},
          {"encoder_hidden_states", filled_input("encoder_hidden_states", {batch, 5, 16})}};
}

ModelInputs per_token_inputs() {
  ModelInputs inputs = text_inputs();
  std::vector<float> t(12, 500.0f);
  std::fill_n(t.begin(), 6, 0.0f);
  inputs["timestep"] = {{1, 12}, std::move(t)};
  return inputs;
}

ModelInputs image_inputs() {
  ModelInputs inputs = text_inputs();
  inputs["encoder_hidden_states"] = filled_input("encoder_hidden_states", {1, 512, 16});
  inputs["encoder_hidden_states_image"] = filled_input("image", {1, 7, 20});
  return inputs;
}

std::vector<Variant> variants() {
  return {{"Text", {.layers = 3}, text_inputs()},
          {"PerToken", {.layers = 2}, per_token_inputs()},
          {"Image", {.layers = 2, .image_dim = 20}, image_inputs()},
          {"Batch", {.layers = 2}, text_inputs(2)}};
}

// Two that have nothing in common.
std::vector<HostTensor> two_directions(const HostTensor& output) {
  return {filled_input("direction.0", output.shape), filled_input("direction.1", output.shape)};
}

class Gradients : public ::testing::Test {
 protected:
  explicit Gradients(Variant variant)
      : wan_(variant.wan),
        inputs_(std::move(variant.inputs)),
        folder_(write_checkpoint(dir_ / "checkpoint", wan_.tensors(), wan_.config())),
        model_(load_transformer(folder_, {})) {}

  HostTensor pull_back(DifferentiableHook& backward) {
    return model_->pull_back(inputs_, kSite, forward_, backward, two_directions);
  }

  TempDir dir_;
  TinyWan wan_;
  ModelInputs inputs_;
  CheckpointFolder folder_;
  std::unique_ptr<VideoTransformer> model_;
  NaiveHook forward_;
  NaiveDifferentiableHook backward_;
};

class WanGradients : public Gradients {
 protected:
  WanGradients() : Gradients(variants().front()) {}
};

class WanGradientsOf : public Gradients, public ::testing::WithParamInterface<Variant> {
 protected:
  WanGradientsOf() : Gradients(GetParam()) {}
};

INSTANTIATE_TEST_SUITE_P(Variants, WanGradientsOf, ::testing::ValuesIn(variants()),
                         [](const auto& tested) { return tested.param.name; });

// d/dx <direction, y(x)> at 0 for every direction, where y(x) has layer's attention moved by
// x * delta: central differences at two distances, so that the error is of the fourth order.
std::vector<double> derivatives(VideoTransformer& model, const ModelInputs& inputs, int64_t layer,
                                const HostTensor& delta,
                                const std::vector<HostTensor>& directions) {
  constexpr double kDistance = 0.04;
  std::vector<double> result(directions.size());
  for (const auto& [distance, weight] :
       {std::pair{kDistance, 4.0 / 3.0}, {2 * kDistance, -1.0 / 3.0}}) {
    for (const double sign : {1.0, -1.0}) {
      MovingHook hook(layer, delta, sign * distance);
      const HostTensor y = model.forward(inputs, {}, hook);
      for (size_t i = 0; i < directions.size(); ++i) {
        result[i] += sign * weight / (2 * distance) * dot(y.values, directions[i].values);
      }
    }
  }
  return result;
}

HostTensor scaled_to_one(HostTensor x) {
  float largest = 0;
  for (const float value : x.values) largest = std::max(largest, std::abs(value));
  for (float& value : x.values) value /= largest;
  return x;
}

double norm(const std::vector<float>& x) { return std::sqrt(dot(x, x)); }

// Along the gradients themselves, where the derivative is largest, and along an unrelated change.
TEST_P(WanGradientsOf, AreTheDerivativeOfTheForwardPass) {
  const std::vector<HostTensor> directions = two_directions(pull_back(backward_));
  for (int64_t layer = 0; layer < wan_.layers; ++layer) {
    const HostTensor* d_out[] = {&backward_.d_out.at({layer, 0}), &backward_.d_out.at({layer, 1})};
    for (const HostTensor& delta : {scaled_to_one(*d_out[0]), scaled_to_one(*d_out[1]),
                                    filled_input("delta", d_out[0]->shape)}) {
      const std::vector<double> expected = derivatives(*model_, inputs_, layer, delta, directions);
      for (size_t i = 0; i < directions.size(); ++i) {
        const double slack = 5e-5 * norm(d_out[i]->values) * norm(delta.values);
        EXPECT_NEAR(dot(d_out[i]->values, delta.values), expected[i], slack)
            << "layer " << layer << ", direction " << i;
      }
    }
  }
}

TEST_P(WanGradientsOf, ComeWithTheOutputOfForward) {
  const HostTensor expected = model_->forward(inputs_, kSite, forward_);
  const HostTensor y = pull_back(backward_);
  EXPECT_EQ(y.shape, expected.shape);
  EXPECT_EQ(y.values, expected.values);
}

// The second run of a block is the first one again: the hook is asked the same.
TEST_P(WanGradientsOf, RunBlocksAgainLastFirst) {
  pull_back(backward_);
  const auto layers = static_cast<size_t>(wan_.layers);
  ASSERT_EQ(forward_.calls.size(), layers);
  ASSERT_EQ(backward_.forward.calls.size(), layers);
  std::vector<std::pair<int64_t, int64_t>> order;
  for (size_t i = 0; i < layers; ++i) {
    const NaiveHook::Call& first = forward_.calls[layers - 1 - i];
    const NaiveHook::Call& again = backward_.forward.calls[i];
    EXPECT_EQ(again.site.layer, first.site.layer);
    EXPECT_EQ(again.site.prompt, kSite.prompt);
    EXPECT_EQ(again.site.branch, kSite.branch);
    EXPECT_EQ(again.site.step, kSite.step);
    EXPECT_EQ(again.grid, first.grid);
    EXPECT_TRUE(near(again.q.values, first.q.values, {.rel_l2 = 1e-6}));
    EXPECT_TRUE(near(again.k.values, first.k.values, {.rel_l2 = 1e-6}));
    EXPECT_TRUE(near(again.v.values, first.v.values, {.rel_l2 = 1e-6}));
    for (const int64_t direction : {0, 1}) order.emplace_back(first.site.layer, direction);
  }
  EXPECT_EQ(backward_.order, order);
}

TEST_F(WanGradients, AreTheSameBitsWithStreamedWeights) {
  int64_t outer = 0, block = 0;
  for (const auto& [name, tensor] : wan_.tensors()) {
    const auto count = static_cast<int64_t>(tensor.values.size());
    if (name.starts_with("blocks.0.")) block += count;
    if (!name.starts_with("blocks.")) outer += count;
  }
  pull_back(backward_);
  model_ = load_transformer(folder_, {.max_memory = 4 * (outer + block)});
  NaiveDifferentiableHook streamed;
  pull_back(streamed);
  ASSERT_EQ(streamed.d_out.size(), 6u);
  for (const auto& [key, expected] : backward_.d_out) {
    EXPECT_EQ(streamed.d_out.at(key).values, expected.values);
  }
}

TEST_F(WanGradients, AreLinearInEachDirectionAlone) {
  pull_back(backward_);
  NaiveDifferentiableHook alone;
  model_->pull_back(inputs_, kSite, forward_, alone, [](const HostTensor& y) {
    HostTensor direction = two_directions(y)[1];
    for (float& value : direction.values) value *= -3;
    return std::vector<HostTensor>{direction};
  });
  for (int64_t layer = 0; layer < wan_.layers; ++layer) {
    std::vector<float> expected = backward_.d_out.at({layer, 1}).values;
    for (float& value : expected) value *= -3;
    EXPECT_TRUE(near(alone.d_out.at({layer, 0}).values, expected, {.rel_l2 = 1e-6}));
  }
}

TEST_F(WanGradients, OfNoDirectionAreAForwardPass) {
  const HostTensor expected = model_->forward(inputs_, kSite, forward_);
  const HostTensor y =
      model_->pull_back(inputs_, kSite, forward_, backward_,
                        [](const HostTensor&) { return std::vector<HostTensor>(); });
  EXPECT_EQ(y.values, expected.values);
  EXPECT_TRUE(backward_.forward.calls.empty());
}

// Forward passes leave nothing behind that gradients trip over.
TEST_F(WanGradients, AreTheSameBetweenForwardPasses) {
  pull_back(backward_);
  model_ = load_transformer(folder_, {});
  model_->forward(inputs_, kSite, forward_);
  NaiveDifferentiableHook again;
  pull_back(again);
  for (const auto& [key, expected] : backward_.d_out) {
    EXPECT_EQ(again.d_out.at(key).values, expected.values);
  }
}

// The hook need not fill what nothing reads.
TEST_F(WanGradients, LeaveThoseOfTheFirstCallsInputsUnread) {
  class Silent : public NaiveDifferentiableHook {
   public:
    void attend_backward(const AttentionCall& call, int64_t direction, const AttentionTensor& out,
                         const MutableAttentionTensor& dq, const MutableAttentionTensor& dk,
                         const MutableAttentionTensor& dv) override {
      if (call.site.layer > 0) {
        NaiveDifferentiableHook::attend_backward(call, direction, out, dq, dk, dv);
      } else {
        d_out[{0, direction}] = copy_of(out);
      }
    }
  };
  pull_back(backward_);
  Silent silent;
  pull_back(silent);
  for (const auto& [key, expected] : backward_.d_out) {
    EXPECT_EQ(silent.d_out.at(key).values, expected.values);
  }
}

// The trained model in bf16 against itself in fp32.
TEST(WanGradientsBf16, StayNearFp32) {
  const auto folder = open_checkpoint_folder(std::filesystem::path(SPARSESCOPE_DATA) / "tiny-wan");
  const ModelInputs inputs = {{"hidden_states", filled_input("hidden_states", {1, 16, 2, 8, 10})},
                              {"timestep", {{1}, {857.692f}}},
                              {"encoder_hidden_states", filled_input("text", {1, 16, 64})}};
  NaiveHook forward;
  NaiveDifferentiableHook expected, found;
  load_transformer(folder, {})->pull_back(inputs, kSite, forward, expected, two_directions);
  load_transformer(folder, {.compute = Dtype::kBF16})
      ->pull_back(inputs, kSite, forward, found, two_directions);
  ASSERT_EQ(found.d_out.size(), 16u);
  for (const auto& [key, d_out] : expected.d_out) {
    EXPECT_TRUE(near(found.d_out.at(key).values, d_out.values, {.rel_l2 = 3e-2}))
        << "layer " << key.first << ", direction " << key.second;
  }
}

class NoGradients : public VideoTransformer {
 public:
  NoGradients() { info_.family = "lines"; }
  const ModelInfo& info() const override { return info_; }
  TokenGrid token_grid(const std::vector<int64_t>&) const override { return {}; }
  HostTensor forward(const ModelInputs&, const SiteKey&, AttentionHook&) override { return {}; }

 private:
  ModelInfo info_;
};

TEST(VideoTransformer, WithoutAWayBackSaysSo) {
  NaiveHook forward;
  NaiveDifferentiableHook backward;
  NoGradients model;
  const Error error =
      error_of([&] { model.pull_back({}, kSite, forward, backward, two_directions); });
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("lines"));
}

}  // namespace
}  // namespace sparsescope::testing
