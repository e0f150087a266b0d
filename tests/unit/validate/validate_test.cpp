#include "validate/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/error.h"
#include "support/expect_error.h"
#include "unit/validate/tiny_run.h"
#include "validate/compare_hook.h"

namespace sparsescope {
namespace {

using testing::expect_same_measurements;
using ::testing::HasSubstr;
using testing::kGrid;
using testing::tiny_plan;
using testing::TinyRun;

TEST(Validate, ADensePlanIsTheDenseModel) {
  TinyRun run;
  const ValidationReport report = run.validate(tiny_plan(0), "psnr>=99 rel_l2<=0");
  // prompts, branches, steps, layers, heads
  ASSERT_EQ(report.sites.size(), 2u * 2 * 3 * 2 * 2);
  for (const SiteResult& site : report.sites) {
    EXPECT_EQ(site.density, 1.0);
    EXPECT_EQ(site.rel_l2, 0.0);
    EXPECT_NEAR(site.recall, 1.0, 1e-6);
  }
  EXPECT_EQ(report.sampling, (SamplingRecord{3, 2.0, "flow-euler", 3.0, 7, kGrid}));
  EXPECT_EQ(report.summary.at("psnr_latent").value, 100.0);
  EXPECT_NEAR(report.summary.at("ssim_latent").value, 1.0, 1e-12);
  EXPECT_EQ(report.summary.at("output_rel_l2").value, 0.0);
  EXPECT_TRUE(report.holds());
  EXPECT_EQ(run.last_done, 2 * 2 * 3);
  EXPECT_EQ(run.total, 2 * 2 * 3);
  EXPECT_TRUE(run.notes.empty());
}

TEST(Validate, FullDensityEqualsDenseWithinRounding) {
  TinyRun run;
  const ValidationReport report = run.validate(tiny_plan(4));
  EXPECT_EQ(report.summary.at("density").value, 1.0);
  EXPECT_NEAR(report.summary.at("recall").value, 1.0, 1e-6);
  EXPECT_LT(report.summary.at("rel_l2").value, 1e-6);
  EXPECT_LT(report.summary.at("output_rel_l2").value, 1e-6);
  EXPECT_GT(report.summary.at("psnr_latent").value, 90.0);
}

TEST(Validate, SparseIsMeasuredAndRequirementsJudged) {
  TinyRun run;
  const ValidationReport report = run.validate(tiny_plan(1), "psnr>=99 density<=0.25");
  EXPECT_DOUBLE_EQ(report.summary.at("density").value, 0.25);  // one of four equal tiles
  EXPECT_LT(report.summary.at("recall").value, 0.95);
  EXPECT_GT(report.summary.at("rel_l2").value, 0.01);
  EXPECT_GT(report.summary.at("output_rel_l2").value, 1e-3);
  EXPECT_LT(report.summary.at("psnr_latent").value, 99.0);
  ASSERT_EQ(report.requirements.size(), 2u);
  EXPECT_FALSE(report.requirements[0].holds);
  EXPECT_TRUE(report.requirements[1].holds);
  EXPECT_NO_THROW(report_from_json(report_to_json(report), "r"));
}

TEST(Validate, ChoicesOfTilesAreJudgedLikeAnyPlan) {
  TinyRun run;
  const auto recall = [&](TileChoice choice) {
    Plan plan = tiny_plan(2);
    plan.rules[0].params = VsaParams{.top_k = 2, .choice = choice};
    const ValidationReport report = run.validate(plan);
    EXPECT_DOUBLE_EQ(report.summary.at("density").value, 0.5);
    return report.summary.at("recall").value;
  };
  const double oracle = recall(TileChoice::kOracle);
  EXPECT_GT(oracle, recall(TileChoice::kPooled));
  EXPECT_GT(oracle, recall(TileChoice::kRandom));
}

TEST(Validate, ThreadsChangeNothing) {
  TinyRun run;
  const ValidationReport one = run.validate(tiny_plan(1), "", 1);
  const ValidationReport three = run.validate(tiny_plan(1), "", 3);
  for (size_t i = 0; i < one.sites.size(); ++i) {
    EXPECT_EQ(one.sites[i].rel_l2, three.sites[i].rel_l2);
    EXPECT_EQ(one.sites[i].recall, three.sites[i].recall);
  }
  EXPECT_EQ(one.summary.at("psnr_latent").value, three.summary.at("psnr_latent").value);
}

TEST(Validate, PlansAndOptionsThatDoNotFit) {
  TinyRun run;
  Plan plan = tiny_plan(1);
  plan.model.layers = 3;
  EXPECT_EQ(run.error_of(plan), ErrorKind::kData);
  plan = tiny_plan(1);
  plan.model.heads = 1;
  EXPECT_EQ(run.error_of(plan), ErrorKind::kData);
  plan = tiny_plan(1);
  plan.model.family = "other";
  EXPECT_EQ(run.error_of(plan), ErrorKind::kData);
  plan = tiny_plan(1);
  plan.grid = {2, 4, 8};
  EXPECT_EQ(run.error_of(plan), ErrorKind::kUsage);
  plan = tiny_plan(1);
  plan.num_steps = 4;
  EXPECT_EQ(run.error_of(plan), ErrorKind::kUsage);
  EXPECT_EQ(run.error_of(tiny_plan(1), "psnr_pixel>=1"), ErrorKind::kUsage);  // no codec
}

// Flow-Euler at shift 3 has 3 steps: 1000, 751 and 8.9.
TEST(Validate, SettingsOfOneExpertDoNotFallToTheOther) {
  TinyRun run;
  Plan plan = tiny_plan(1);
  plan.model.low_noise_from_step = 2;
  EXPECT_THAT(testing::error_of(ErrorKind::kData, [&] { run.validate(plan); }),
              HasSubstr("two experts"));
  run.folder.transformer_2 = "transformer_2";
  run.folder.model_index = Json{{"boundary_ratio", 0.9}};
  EXPECT_THAT(testing::error_of(ErrorKind::kUsage, [&] { run.validate(plan); }),
              HasSubstr("step 2 on, found 1"));
  run.folder.model_index = Json{{"boundary_ratio", 0.5}};
  run.sampling.guidance_2 = 1.5;
  const ValidationReport report = run.validate(plan);
  EXPECT_EQ(report.sampling->guidance, 2.0);
  EXPECT_EQ(report.sampling->guidance_2, 1.5);
}

TEST(Validate, AnotherCheckpointOfTheSameShapeIsARemark) {
  TinyRun run;
  run.sampling.guidance = 1.0;
  Plan plan = tiny_plan(1);
  plan.model.checkpoint_hash = "other";
  const ValidationReport report = run.validate(plan);
  ASSERT_EQ(run.notes.size(), 1u);
  EXPECT_THAT(run.notes[0], HasSubstr("another checkpoint"));
  EXPECT_EQ(report.sampling->guidance, 1.0);
  EXPECT_EQ(report.sites.size(), 2u * 1 * 3 * 2 * 2);  // the conditional branch alone
}

class ValidateResumes : public ::testing::Test {
 protected:
  ValidateResumes() { run_.out.replace = false; }

  // Asks to stop after this many of 12 steps (2 prompts, 2 trajectories, 3 steps).
  void run_until(int64_t steps) {
    run_.last_done = 0;
    run_.stop_requested = [this, steps] { return run_.last_done >= steps; };
    testing::error_of(ErrorKind::kInterrupted, [&] { run_.validate(tiny_plan(1)); });
    EXPECT_FALSE(std::filesystem::exists(run_.out.path));
    run_.stop_requested = nullptr;
    run_.model.forwards = 0;
  }

  std::string usage_error() {
    return testing::error_of(ErrorKind::kUsage, [&] { run_.validate(tiny_plan(1)); });
  }

  // All prompts are finished, but a file has taken the report's name before the last step.
  void block_the_end() {
    run_.stop_requested = [this] {
      if (run_.last_done == 11) run_.temp.write("report.json", "precious");
      return false;
    };
    EXPECT_THAT(usage_error(), HasSubstr("exists already"));
    run_.stop_requested = nullptr;
    run_.model.forwards = 0;
  }

  // Of one prompt: 2 branches, 3 steps; dense, sparse at the same latents, sparse video.
  static constexpr int64_t kForwards = 2 * 3 * 3;

  TinyRun run_;
  std::filesystem::path parts_ = parts_folder_of(run_.out.path);
};

TEST_F(ValidateResumes, GoesOnBehindTheFinishedPrompts) {
  const ValidationReport expected = TinyRun().validate(tiny_plan(1), "psnr>=20");
  run_until(8);  // in the second prompt
  const ValidationReport found = run_.validate(tiny_plan(1), "psnr>=20");
  EXPECT_EQ(run_.model.forwards, kForwards);
  EXPECT_EQ(run_.last_done, 12);
  expect_same_measurements(found, expected);
  EXPECT_EQ(testing::read_file(run_.out.path), report_text(found));
  EXPECT_FALSE(std::filesystem::exists(parts_));
}

TEST_F(ValidateResumes, AStopWithAPromptsLastStepKeepsThePrompt) {
  run_until(6);
  run_.validate(tiny_plan(1));
  EXPECT_EQ(run_.model.forwards, kForwards);
}

TEST_F(ValidateResumes, DoesDamagedPartsAgain) {
  const ValidationReport expected = TinyRun().validate(tiny_plan(1));
  run_until(8);
  const std::string name = "report.json.parts/p0000.safetensors";
  std::string content = testing::read_file(run_.temp / name);
  content[content.size() - 5] ^= 1;
  run_.temp.write(name, content);
  expect_same_measurements(run_.validate(tiny_plan(1)), expected);
  EXPECT_EQ(run_.model.forwards, 2 * kForwards);
  ASSERT_EQ(run_.notes.size(), 1u);
  EXPECT_THAT(run_.notes[0], HasSubstr("p0000"));
}

TEST_F(ValidateResumes, APartOfAnotherPromptIsNotTaken) {
  run_until(8);
  std::filesystem::rename(parts_ / "p0000.safetensors", parts_ / "p0001.safetensors");
  run_.validate(tiny_plan(1));
  EXPECT_EQ(run_.model.forwards, 2 * kForwards);
}

TEST_F(ValidateResumes, NamesWhatDiffersFromTheRunInTheFolder) {
  run_until(8);
  run_.sampling.seed = 8;
  run_.prompts.names[1] = "c";
  const std::string message = usage_error();
  EXPECT_THAT(message, HasSubstr("seed was 7 and is 8"));
  EXPECT_THAT(message, HasSubstr("prompts was"));
  EXPECT_THAT(message, HasSubstr("--force"));
  EXPECT_TRUE(std::filesystem::exists(parts_ / "p0000.safetensors"));
  run_.out.replace = true;
  run_.validate(tiny_plan(1));
  EXPECT_EQ(run_.model.forwards, 2 * kForwards);
}

TEST_F(ValidateResumes, BeginsAnewWhereAskedTo) {
  run_until(8);
  run_.out.resume = false;
  run_.validate(tiny_plan(1));
  EXPECT_EQ(run_.model.forwards, 2 * kForwards);
}

TEST_F(ValidateResumes, AnExistingReportIsRefusedBeforeAnyWork) {
  run_.temp.write("report.json", "precious");
  EXPECT_THAT(usage_error(), HasSubstr("--force"));
  EXPECT_EQ(run_.model.forwards, 0);
  EXPECT_EQ(testing::read_file(run_.out.path), "precious");
  EXPECT_FALSE(std::filesystem::exists(parts_));
}

TEST_F(ValidateResumes, AReportThatAppearsMeanwhileStaysAndSoDoTheParts) {
  block_the_end();
  EXPECT_EQ(testing::read_file(run_.out.path), "precious");
  std::filesystem::remove(run_.out.path);
  expect_same_measurements(run_.validate(tiny_plan(1)), TinyRun().validate(tiny_plan(1)));
  EXPECT_EQ(run_.model.forwards, 0);
}

// As if killed when the report stood and its parts were not yet removed.
TEST_F(ValidateResumes, KilledJustBeforeTheEndItIsComplete) {
  block_the_end();
  std::filesystem::remove(run_.out.path);
  std::filesystem::copy(parts_, run_.temp / "kept");
  run_.validate(tiny_plan(1));
  const std::string report = testing::read_file(run_.out.path);
  std::filesystem::rename(run_.temp / "kept", parts_);
  run_.validate(tiny_plan(1));
  EXPECT_EQ(run_.model.forwards, 0);
  EXPECT_EQ(testing::read_file(run_.out.path), report);
  EXPECT_FALSE(std::filesystem::exists(parts_));
}

// Everything in fp64 from q, k, v: tile means, the best tile, softmax over all and over its keys.
TEST(CompareHook, AgreesWithAPlainComputation) {
  constexpr int kTokens = 32, kDim = 8, kTiles = 4;
  std::vector<float> q(kTokens * kDim), k(q.size()), v(q.size()), out(q.size());
  for (size_t i = 0; i < q.size(); ++i) {
    q[i] = static_cast<float>(1.5 * normal(1, i));
    k[i] = static_cast<float>(1.5 * normal(2, i));
    v[i] = static_cast<float>(normal(3, i));
  }
  Plan plan = tiny_plan(1);
  plan.model.heads = 1;
  ThreadPool pool(2);
  CompareHook hook(plan, Impl::kReference, pool);
  AttentionCall call{.site = {.prompt = 1, .step = 2, .layer = 1}, .grid = kGrid, .scale = 0.25f};
  call.q = contiguous_attention_tensor(q.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  call.k = contiguous_attention_tensor(k.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  call.v = contiguous_attention_tensor(v.data(), Dtype::kF32, 1, 1, kTokens, kDim);
  call.out = contiguous_output(out.data(), 1, kTokens, kDim);
  hook.attend(call);
  const std::vector<SiteResult> sites = hook.take_sites();

  const auto tile_of = [](int s) { return s / 4 % 4 / 2 * 2 + s % 4 / 2; };  // t spans one tile
  const auto dot = [&](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (int d = 0; d < kDim; ++d) sum += a[static_cast<size_t>(d)] * b[static_cast<size_t>(d)];
    return sum;
  };
  const auto row = [&](const std::vector<float>& x, int s) {
    return std::vector<double>(x.begin() + s * kDim, x.begin() + (s + 1) * kDim);
  };
  std::vector<std::vector<double>> mean_q(kTiles, std::vector<double>(kDim)), mean_k = mean_q;
  for (int s = 0; s < kTokens; ++s) {
    for (size_t d = 0; d < kDim; ++d) {
      mean_q[static_cast<size_t>(tile_of(s))][d] += row(q, s)[d] / 8;
      mean_k[static_cast<size_t>(tile_of(s))][d] += row(k, s)[d] / 8;
    }
  }
  double recall = 0, abs_difference = 0, abs_dense = 0, sq_difference = 0, sq_dense = 0;
  for (int s = 0; s < kTokens; ++s) {
    const auto& mean = mean_q[static_cast<size_t>(tile_of(s))];
    int best = 0;
    for (int j = 1; j < kTiles; ++j) {
      if (dot(mean, mean_k[static_cast<size_t>(j)]) >
          dot(mean, mean_k[static_cast<size_t>(best)])) {
        best = j;
      }
    }
    double all = 0, kept = 0;
    std::vector<double> dense(kDim), sparse(kDim);
    for (int x = 0; x < kTokens; ++x) {
      const double weight = std::exp(0.25 * dot(row(q, s), row(k, x)));
      const bool selected = tile_of(x) == best;
      all += weight;
      if (selected) kept += weight;
      for (size_t d = 0; d < kDim; ++d) {
        dense[d] += weight * row(v, x)[d];
        if (selected) sparse[d] += weight * row(v, x)[d];
      }
    }
    recall += kept / all / kTokens;
    for (size_t d = 0; d < kDim; ++d) {
      const double o = dense[d] / all, p = sparse[d] / kept;
      abs_difference += std::abs(o - p);
      abs_dense += std::abs(o);
      sq_difference += (o - p) * (o - p);
      sq_dense += o * o;
    }
  }

  ASSERT_EQ(sites.size(), 1u);
  EXPECT_EQ(sites[0].prompt, 1);
  EXPECT_EQ(sites[0].step, 2);
  EXPECT_EQ(sites[0].layer, 1);
  EXPECT_DOUBLE_EQ(sites[0].density, 0.25);
  ASSERT_LT(recall, 0.9);
  EXPECT_NEAR(sites[0].recall, recall, 1e-6);
  EXPECT_NEAR(sites[0].rel_l1, abs_difference / abs_dense, 1e-5);
  EXPECT_NEAR(sites[0].rel_l2, std::sqrt(sq_difference / sq_dense), 1e-5);
}

}  // namespace
}  // namespace sparsescope
