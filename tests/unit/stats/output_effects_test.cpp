// Effects on the output of a small random Wan checkpoint. Their truth is the forward pass alone:
// one head's output is moved towards what a setting makes of it, and the model's output follows.
#include "stats/output_effects.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "capture/dense_hook.h"
#include "capture/statistic_grids.h"
#include "sparse/masks.h"
#include "sparse/sparse_executor.h"
#include "sparse/token_layout.h"
#include "stats/profile.h"
#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/model/model_test_support.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope::testing {
namespace {

constexpr TokenGrid kGrid{3, 4, 4};
constexpr TileShape kTile{2, 2, 2};  // 8 tiles, ragged in t
constexpr int64_t kTiles = 8, kTokens = 48;
const Impl kImpl = default_cpu_impl();

// Attention by the plan in fp64, with what the first call of a layer selected: J takes selections
// as constants, so that moving an input must not change one.
class FrozenSelection : public AttentionHook {
 public:
  explicit FrozenSelection(const Plan* plan) : plan_(plan) {}

  void attend(const AttentionCall& call) override {
    const int64_t heads = call.q.heads;
    std::vector<std::vector<uint8_t>>& masks = masks_[call.site.layer];  // [H][N, N]
    for (int64_t head = std::ssize(masks); head < heads; ++head) {
      const PlanRule* rule = plan_ == nullptr ? nullptr : plan_->rule_for(0, call.site.layer, head);
      const int64_t top_k = rule == nullptr ? kTiles : std::get<VsaParams>(rule->params).top_k;
      const auto selected =
          select_vsa_head({call.q, call.k, call.scale, &layout_, kImpl}, 0, head, top_k);
      masks.push_back(tile_mask(selected.lists, kTiles));
    }
    const Qkv x{.batch = 1,
                .heads = heads,
                .tokens = kTokens,
                .head_dim = call.q.head_dim,
                .q = copy_of(call.q).values,
                .k = copy_of(call.k).values,
                .v = copy_of(call.v).values};
    const NaiveResult result =
        naive_attention(x, call.scale, [&](int64_t, int64_t h, int64_t row, int64_t key) {
          const int64_t i = layout_.tiles.tile_of_token(row), j = layout_.tiles.tile_of_token(key);
          return masks[h][i * kTiles + j] != 0;
        });
    for (int64_t i = 0; i < heads * kTokens; ++i) {
      std::copy_n(
          &result.out[i * call.q.head_dim], call.q.head_dim,
          call.out.data + i / kTokens * call.out.stride_head + i % kTokens * call.out.stride_token);
    }
  }

 private:
  const Plan* plan_;
  TokenLayout layout_ = make_token_layout(TileGrid(kGrid, kTile), 0, 0);
  std::map<int64_t, std::vector<std::vector<uint8_t>>> masks_;
};

// Attention by another hook, kept, with the output of one head moved.
class MovedHead : public AttentionHook {
 public:
  explicit MovedHead(AttentionHook& attention) : attention_(attention) {}

  void attend(const AttentionCall& call) override {
    attention_.attend(call);
    const AttentionTensor out{call.out.data,         Dtype::kF32,          1,
                              call.q.heads,          call.q.tokens,        call.q.head_dim,
                              call.out.stride_batch, call.out.stride_head, call.out.stride_token};
    kept[call.site.layer] = {
        .q = copy_of(call.q), .k = copy_of(call.k), .v = copy_of(call.v), .out = copy_of(out)};
    if (call.site.layer != layer || amount == 0.0) return;
    const int64_t dim = call.q.head_dim;
    for (int64_t i = 0; i < kTokens * dim; ++i) {
      call.out.data[head * call.out.stride_head + i / dim * call.out.stride_token + i % dim] +=
          static_cast<float>(amount * delta[i]);
    }
  }

  int64_t layer = 0, head = 0;
  double amount = 0.0;
  std::vector<double> delta;  // [S, D]
  std::map<int64_t, NaiveHook::Call> kept;

 private:
  AttentionHook& attention_;
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

std::vector<double> widened(const HostTensor& x) { return {x.values.begin(), x.values.end()}; }

const StatArray& array_of(const SiteStatistics& site, const std::string& name) {
  for (const StatArray& array : site.arrays) {
    if (array.name == name) return array;
  }
  throw std::out_of_range(name);
}

class OutputEffectsOfWan : public ::testing::TestWithParam<bool> {
 protected:
  OutputEffectsOfWan()
      : folder_(write_checkpoint(dir_ / "checkpoint", wan_.tensors(), wan_.config())),
        model_(load_transformer(folder_, {})),
        denoiser_(*model_, folder_,
                  {.steps = 4,
                   .scheduler = "flow-euler",
                   .shift = 3.0,
                   .seed = 5,
                   .latent_shape = {1, 4, 3, 8, 8}}) {
    prompts_.names = {"a"};
    prompts_.conditional = {filled_input("encoder_hidden_states", {1, 5, 16})};
    state_.latents = denoiser_.initial_noise(0);
    plan_.model = {.family = "wan", .layers = wan_.layers, .heads = wan_.heads, .head_dim = 12};
    plan_.grid = kGrid;
    plan_.tile = kTile;
    plan_.num_steps = 4;
    plan_.rules = {{{0, 3}, {0, 0}, {0, 0}, VsaParams{.top_k = 3}},  // head 1 is dense
                   {{0, 3}, {1, 1}, {0, 0}, VsaParams{.top_k = 2}},
                   {{0, 3}, {1, 1}, {1, 1}, VsaParams{.top_k = 5}}};
    attention_ = std::make_unique<FrozenSelection>(plan());
    moved_ = std::make_unique<MovedHead>(*attention_);
    output_ = predict();
    calls_ = moved_->kept;
    DenseHook dense(kImpl, pool_);
    reference_ = widened(denoiser_.predict(state_, prompts_, 0, Branch::kConditional, dense));
    residual_ = output_;
    for (size_t i = 0; i < residual_.size(); ++i) residual_[i] -= reference_[i];
  }

  const Plan* plan() const { return GetParam() ? &plan_ : nullptr; }

  // With the head moved as moved_ says.
  std::vector<double> predict() {
    return widened(denoiser_.predict(state_, prompts_, 0, Branch::kConditional, *moved_));
  }

  // Output of one layer by VSA at its own queries, keys and values, [H, S, D].
  std::vector<float> vsa_output(int64_t layer, int64_t top_k) {
    const NaiveHook::Call& call = calls_.at(layer);
    const int64_t heads = wan_.heads, dim = wan_.head_dim;
    std::vector<float> out(call.q.values.size());
    const auto view = [&](const HostTensor& x) {
      return contiguous_attention_tensor(x.values.data(), Dtype::kF32, 1, heads, kTokens, dim);
    };
    const PlanRule rule{.params = VsaParams{.top_k = top_k}};
    SparseExecutor executor(kTile, kImpl, pool_);
    executor.run({.grid = kGrid,
                  .scale = 1.0f / std::sqrt(static_cast<float>(dim)),
                  .q = view(call.q),
                  .k = view(call.k),
                  .v = view(call.v),
                  .out = contiguous_output(out.data(), heads, kTokens, dim)},
                 std::vector<const PlanRule*>(heads, &rule), nullptr);
    return out;
  }

  // What the setting adds to the head's output, [S, D].
  std::vector<double> move_of(int64_t layer, int64_t head, int64_t top_k) {
    const std::vector<float> sparse = vsa_output(layer, top_k);
    std::vector<double> delta;
    for (int64_t i = head * kTokens * 12; i < (head + 1) * kTokens * 12; ++i) {
      delta.push_back(static_cast<double>(sparse[i]) - calls_.at(layer).out.values[i]);
    }
    return delta;
  }

  // J d: the derivative of the model's output along that move, by central differences of the
  // fourth order.
  std::vector<double> derivative(int64_t layer, int64_t head, int64_t top_k) {
    moved_->layer = layer;
    moved_->head = head;
    moved_->delta = move_of(layer, head, top_k);
    std::vector<double> result(output_.size());
    constexpr double kDistance = 0.03;
    for (const auto& [distance, weight] :
         {std::pair{kDistance, 4.0 / 3.0}, {2 * kDistance, -1.0 / 3.0}}) {
      for (const double sign : {1.0, -1.0}) {
        moved_->amount = sign * distance;
        const std::vector<double> y = predict();
        for (size_t i = 0; i < y.size(); ++i) result[i] += sign * weight / (2 * distance) * y[i];
      }
    }
    moved_->amount = 0.0;
    return result;
  }

  std::vector<SiteStatistics> measure(int64_t probes, ThreadPool& pool) {
    OutputEffects effects(denoiser_, prompts_,
                          {.tile = kTile,
                           .partitions = {parse_partition("temporal:1")},
                           .probes = probes,
                           .error_tiles = kTiles,
                           .plan = plan(),
                           .seed = 3},
                          kImpl, pool);
    std::vector<SiteStatistics> sites;
    effects.add_to(state_, 0, sites);
    return sites;
  }

  ThreadPool pool_{2};
  TempDir dir_;
  TinyWan wan_;
  CheckpointFolder folder_;
  std::unique_ptr<VideoTransformer> model_;
  Denoiser denoiser_;
  PromptSet prompts_;
  TrajectoryState state_;
  Plan plan_;
  std::unique_ptr<FrozenSelection> attention_;
  std::unique_ptr<MovedHead> moved_;
  std::map<int64_t, NaiveHook::Call> calls_;
  std::vector<double> output_, reference_, residual_;
};

INSTANTIATE_TEST_SUITE_P(Around, OutputEffectsOfWan, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Plan" : "Dense"; });

// <direction, J d> is linear in the direction: nothing is left to chance.
TEST_P(OutputEffectsOfWan, ChangesAlongDirectionsAreDerivatives) {
  EffectHook hook(plan(), kTile, {}, kImpl, pool_);
  EffectRows rows{{0}, {}};
  for (int32_t tile = 0; tile < kTiles; ++tile) rows.change_tiles.push_back(tile);
  hook.expect(2, rows);
  const HostTensor direction = filled_input("direction", {1, 4, 3, 8, 8});
  HostTensor second = filled_input("direction.1", direction.shape);
  if (GetParam()) std::copy(residual_.begin(), residual_.end(), second.values.begin());
  DenseHook dense(kImpl, pool_);
  SparseHook sparse(plan_, kImpl, pool_);
  AttentionHook& forward = GetParam() ? static_cast<AttentionHook&>(sparse) : dense;
  denoiser_.pull_back(state_, prompts_, 0, Branch::kConditional, forward, hook,
                      [&](const HostTensor&) {
                        return std::vector{direction, second};
                      });
  for (const SiteEffects& site : hook.take()) {
    for (int64_t head = 0; head < wan_.heads; ++head) {
      const std::vector<double>& change = site.heads[head].pooled.change;
      std::vector<double> found[2], expected[2];
      for (size_t f = 5; f < kFractions.size(); ++f) {  // below they keep one tile, too
        const std::vector<double> moved =
            derivative(site.site.layer, head, kept_count(kFractions[f], kTiles));
        for (const int j : {0, 1}) {
          found[j].push_back(change[j * kFractions.size() + f]);
          expected[j].push_back(dot(moved, widened(j == 0 ? direction : second)));
        }
      }
      for (const int j : {0, 1}) {
        EXPECT_TRUE(near(found[j], expected[j], {.max_scaled = 1e-3}))
            << "layer " << site.site.layer << ", head " << head << ", direction " << j;
      }
    }
  }
}

TEST_P(OutputEffectsOfWan, EffectsAreChangesOfTheSquaredError) {
  constexpr int64_t kProbes = 256;
  const std::vector<SiteStatistics> sites = measure(kProbes, pool_);
  ASSERT_EQ(sites.size(), 2u);
  const double norm = dot(reference_, reference_), loss = dot(residual_, residual_) / norm;
  for (const SiteStatistics& site : sites) {
    const StatArray& effects = array_of(site, "effect_pooled");
    EXPECT_EQ(effects.shape, (std::vector<int64_t>{wan_.heads, std::ssize(kFractions)}));
    for (int64_t head = 0; head < wan_.heads; ++head) {
      EXPECT_NEAR(array_of(site, "output_loss").values[head], loss, 1e-9 + 1e-4 * loss);
      for (size_t f = 5; f < kFractions.size(); ++f) {
        const std::vector<double> moved =
            derivative(site.site.layer, head, kept_count(kFractions[f], kTiles));
        const double square = dot(moved, moved) / norm;
        const double linear = 2 * dot(residual_, moved) / norm;
        // The mean of the squares of 256 normal numbers is off by sqrt(2 / 256).
        const double slack = 3 * std::sqrt(2.0 / kProbes) * square + 2e-3 * std::abs(linear);
        EXPECT_NEAR(effects.values[head * std::ssize(kFractions) + static_cast<int64_t>(f)],
                    square + linear, slack + 1e-5 * loss + 1e-9)
            << "layer " << site.site.layer << ", head " << head << ", f " << kFractions[f];
      }
    }
  }
}

// Root of the summed effects over the summed squared errors of the head, below f = 1.
TEST_P(OutputEffectsOfWan, SensitivityIsItsDefinition) {
  for (const SiteStatistics& site : measure(2, pool_)) {
    const auto has_it = [](const StatArray& array) { return array.name == "sensitivity"; };
    if (GetParam()) {
      EXPECT_TRUE(std::none_of(site.arrays.begin(), site.arrays.end(), has_it));
      continue;
    }
    for (int64_t head = 0; head < wan_.heads; ++head) {
      const std::vector<float>& out = calls_.at(site.site.layer).out.values;
      const std::vector<double> own(out.begin() + head * kTokens * 12,
                                    out.begin() + (head + 1) * kTokens * 12);
      double effects = 0.0, errors = 0.0;
      for (size_t f = 0; f + 1 < kFractions.size(); ++f) {
        const std::vector<double> delta =
            move_of(site.site.layer, head, kept_count(kFractions[f], kTiles));
        errors += dot(delta, delta) / dot(own, own);
        effects += array_of(site, "effect_pooled")
                       .values[head * std::ssize(kFractions) + static_cast<int64_t>(f)];
      }
      EXPECT_NEAR(array_of(site, "sensitivity").values[head] / std::sqrt(effects / errors), 1.0,
                  1e-4);
    }
  }
}

TEST_P(OutputEffectsOfWan, ThreadsChangeNothingButRounding) {
  ThreadPool one(1);
  const std::vector<SiteStatistics> expected = measure(3, one), found = measure(3, pool_);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    for (const StatArray& array : expected[i].arrays) {
      EXPECT_TRUE(near(array_of(found[i], array.name).values, array.values, {.max_scaled = 1e-4}))
          << array.name;
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
