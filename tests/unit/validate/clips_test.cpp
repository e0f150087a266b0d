// What a report says of each prompt, the videos beside it, and the plan in one layer or step alone:
// each number judged by another way to it.
#include <gmock/gmock.h>

#include <cmath>

#include "core/hdf5_file.h"
#include "support/expect_error.h"
#include "unit/validate/tiny_run.h"
#include "validate/videos_file.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::error_of;
using testing::expect_same_measurements;
using ::testing::HasSubstr;
using testing::tiny_plan;
using testing::TinyRun;

// [C, F, Hl, Wl] of tiny runs
const std::vector<int64_t> kLatents = {4, 2, 4, 4};

std::vector<float> latents_of(const fs::path& path, const std::string& dataset) {
  return Hdf5File::open(path).read<float>(dataset, kLatents);
}

double naive_rel_l2(const std::vector<float>& reference, const std::vector<float>& other) {
  double difference = 0, all = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    difference += std::pow(static_cast<double>(reference[i]) - other[i], 2);
    all += std::pow(static_cast<double>(reference[i]), 2);
  }
  return std::sqrt(difference / all);
}

TEST(Clips, TheirMeansAreTheSummary) {
  TinyRun run;
  const ValidationReport report = run.validate(tiny_plan(1));
  ASSERT_EQ(report.clips.size(), 2u);
  const auto expect_mean = [&](const char* name, double ClipResult::*member) {
    EXPECT_DOUBLE_EQ((report.clips[0].*member + report.clips[1].*member) / 2,
                     report.summary.at(name).value)
        << name;
  };
  expect_mean("density", &ClipResult::density);
  expect_mean("recall", &ClipResult::recall);
  expect_mean("rel_l2", &ClipResult::rel_l2);
  expect_mean("output_rel_l2", &ClipResult::output_rel_l2);
  expect_mean("psnr_latent", &ClipResult::psnr_latent);
  expect_mean("ssim_latent", &ClipResult::ssim_latent);
  double recall = 0;
  for (const SiteResult& site : report.sites) {
    if (site.prompt == 1) recall += site.recall / 24;  // branches, steps, layers, heads
  }
  EXPECT_NEAR(report.clips[1].recall, recall, 1e-12);
  EXPECT_NE(report.clips[0].recall, report.clips[1].recall);
  EXPECT_FALSE(report.clips[0].psnr_pixel.has_value());
  EXPECT_GT(report.clips[0].speedup, 0.0);
}

TEST(Clips, ADensePlanMovesNothing) {
  TinyRun run;
  run.removal = {.layers = true, .steps = true};
  const ValidationReport report = run.validate(tiny_plan(0));
  for (const ClipResult& clip : report.clips) {
    EXPECT_EQ(clip.latent_rel_l2, 0.0);
    EXPECT_EQ(clip.psnr_latent, 100.0);
  }
  for (const auto* units : {&report.removal.layers, &report.removal.steps}) {
    for (const RemovalResult& result : *units) {
      EXPECT_THAT(result.of_prompt, ElementsAre(0.0, 0.0));
      EXPECT_EQ(result.density, 1.0);
    }
  }
}

TEST(Videos, HoldWhatTheReportCompares) {
  TinyRun run;
  run.videos = run.temp / "videos.h5";
  const ValidationReport report = run.validate(tiny_plan(1));
  for (const int prompt : {0, 1}) {
    const std::string name = "/p" + std::to_string(prompt);
    const std::vector<float> dense = latents_of(run.videos, "/dense_latents" + name),
                             sparse = latents_of(run.videos, "/sparse_latents" + name);
    const ClipResult& clip = report.clips[static_cast<size_t>(prompt)];
    EXPECT_GT(clip.latent_rel_l2, 1e-3);
    EXPECT_NEAR(clip.latent_rel_l2, naive_rel_l2(dense, sparse), 1e-12);
  }
  const Hdf5File file = Hdf5File::open(run.videos);
  EXPECT_EQ(file.string_attribute("/", "format"), "sparsescope-videos");
  EXPECT_EQ(file.int64_attribute("/", "version"), 1);
  EXPECT_EQ(file.string_attribute("/", "plan"), "p");
  EXPECT_EQ(file.string_attribute("/", "prompts"), R"(["a","b"])");
  EXPECT_FALSE(file.exists("/dense"));  // no codec
  EXPECT_THAT(file.scales("/sparse_latents/p1"),
              ElementsAre("/channel", "/frame", "/latent_height", "/latent_width"));
  EXPECT_EQ(check_videos(run.videos).prompts, 2u);
}

TEST(Videos, AStoppedRunWritesTheSameFile) {
  TinyRun whole, run;
  for (TinyRun* one : {&whole, &run}) {
    one->videos = one->temp / "videos.h5";
    one->out.replace = false;
  }
  whole.validate(tiny_plan(1));
  run.stop_requested = [&] { return run.last_done >= 8; };
  error_of(ErrorKind::kInterrupted, [&] { run.validate(tiny_plan(1)); });
  EXPECT_FALSE(fs::exists(run.videos));
  run.stop_requested = nullptr;
  run.validate(tiny_plan(1));
  EXPECT_TRUE(testing::read_file(run.videos) == testing::read_file(whole.videos));
}

TEST(Videos, AnExistingFileIsKeptUnlessItIsThisRunsOwn) {
  TinyRun run;
  run.out.replace = false;
  run.videos = run.temp.write("videos.h5", "precious");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { run.validate(tiny_plan(1)); }),
              HasSubstr("--force"));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { check_validation_outputs(run.out, run.videos); }),
              HasSubstr("--force"));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { check_validation_outputs(run.out, run.out.path); }),
              HasSubstr("--videos"));
  EXPECT_EQ(run.model.forwards, 0);
  EXPECT_EQ(testing::read_file(run.videos), "precious");

  // As if killed when the videos stood and the report did not.
  fs::remove(run.videos);
  run.validate(tiny_plan(1));
  fs::remove(run.out.path);
  run.validate(tiny_plan(1));
  EXPECT_TRUE(fs::exists(run.out.path));
}

TEST(Videos, CheckNamesWhatIsWrong) {
  const testing::TempDir temp;
  const auto array = [](std::vector<int64_t> shape, float value) {
    const size_t count = HostTensor::zeros(shape).values.size();
    return KeptArray<float>{shape, [count, value] { return std::vector<float>(count, value); }};
  };
  const auto refusal = [&](std::vector<KeptArray<float>> dense,
                           std::vector<KeptArray<float>> sparse, std::vector<std::string> prompts) {
    write_videos(temp / "v.h5",
                 {.plan = "p",
                  .fingerprint = "f",
                  .prompts = std::move(prompts),
                  .dense = std::move(dense),
                  .sparse = std::move(sparse),
                  .codec = nullptr},
                 true);
    EXPECT_TRUE(is_videos_file(temp / "v.h5"));
    return error_of(ErrorKind::kData, [&] { check_videos(temp / "v.h5"); });
  };
  const auto fine = array(kLatents, 0.5f), broken = array(kLatents, std::nanf("")),
             other = array({4, 2, 4, 5}, 0.5f);
  EXPECT_THAT(refusal({fine}, {broken}, {"a"}), HasSubstr("/sparse_latents/p0: value 0 is nan"));
  EXPECT_THAT(refusal({fine}, {other}, {"a"}), HasSubstr("/sparse_latents/p0: expected"));
  EXPECT_THAT(refusal({fine}, {fine}, {"a", "b"}), HasSubstr("/dense_latents/p1"));
  EXPECT_THAT(refusal({fine, fine}, {fine, fine}, {"a"}),
              HasSubstr("/dense_latents/p1: expected a prompt below 1"));
  EXPECT_THAT(refusal({fine}, {fine}, {}), HasSubstr("attribute prompts"));
}

// The same numbers as validations of plans that were written for one layer, or one step, alone.
TEST(Removal, EqualsThePlansOfOneLayerAndOneStep) {
  Plan plan = tiny_plan(1);
  plan.rules.push_back({{1, 2}, {1, 1}, {0, 0}, VsaParams{.top_k = 2}});
  TinyRun run;
  run.removal = {.layers = true, .steps = true};
  const ValidationReport report = run.validate(plan);
  EXPECT_EQ(run.last_done, run.total);
  EXPECT_EQ(run.total, 2 * 3 * (2 + 2 + 3));
  ASSERT_EQ(report.removal.layers.size(), 2u);
  ASSERT_EQ(report.removal.steps.size(), 3u);

  const auto expect_alone = [](const RemovalResult& found, const Plan& alone) {
    TinyRun truth;
    const ValidationReport expected = truth.validate(alone);
    ASSERT_EQ(found.of_prompt.size(), 2u);
    for (size_t prompt = 0; prompt < 2; ++prompt) {
      EXPECT_EQ(found.of_prompt[prompt], expected.clips[prompt].latent_rel_l2);
    }
    EXPECT_GT(found.latent_rel_l2.value, 1e-4);
    EXPECT_DOUBLE_EQ(found.latent_rel_l2.value, (found.of_prompt[0] + found.of_prompt[1]) / 2);
    EXPECT_LE(*found.latent_rel_l2.low, found.latent_rel_l2.value);
    EXPECT_GE(*found.latent_rel_l2.high, found.latent_rel_l2.value);
  };
  Plan layer = tiny_plan(0);
  layer.method = Method::kVsa;
  layer.rules = {{{0, 2}, {1, 1}, {0, 1}, VsaParams{.top_k = 1}},
                 {{1, 2}, {1, 1}, {0, 0}, VsaParams{.top_k = 2}}};
  expect_alone(report.removal.layers[1], layer);
  EXPECT_EQ(report.removal.layers[1].index, 1);
  // one of four tiles, and at two of three steps two tiles of one of two heads
  EXPECT_DOUBLE_EQ(report.removal.layers[1].density, 0.25 + 0.25 / 3);
  EXPECT_DOUBLE_EQ(report.removal.layers[0].density, 0.25);
  Plan step = tiny_plan(0);
  step.method = Method::kVsa;
  step.rules = {{{0, 0}, {0, 1}, {0, 1}, VsaParams{.top_k = 1}}};
  expect_alone(report.removal.steps[0], step);
  EXPECT_DOUBLE_EQ(report.removal.steps[0].density, 0.25);
}

TEST(Removal, GoesOnAfterAStop) {
  TinyRun whole, run;
  for (TinyRun* one : {&whole, &run}) {
    one->removal.layers = true;
    one->out.replace = false;
  }
  const ValidationReport expected = whole.validate(tiny_plan(1));
  run.stop_requested = [&] { return run.last_done >= 14; };  // of 12 a prompt
  error_of(ErrorKind::kInterrupted, [&] { run.validate(tiny_plan(1)); });
  run.stop_requested = nullptr;
  expect_same_measurements(run.validate(tiny_plan(1)), expected);

  // What is asked for belongs to the run.
  run.stop_requested = [&] { return run.last_done >= 14; };
  fs::remove(run.out.path);
  error_of(ErrorKind::kInterrupted, [&] { run.validate(tiny_plan(1)); });
  run.stop_requested = nullptr;
  run.removal.steps = true;
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { run.validate(tiny_plan(1)); }),
              HasSubstr("removal was \"layers\" and is \"layers,steps\""));
}

TEST(Removal, OnePromptHasNoInterval) {
  TinyRun run;
  run.removal.layers = true;
  run.prompts.names.pop_back();
  run.prompts.conditional.pop_back();
  run.prompts.unconditional.pop_back();
  const ValidationReport report = run.validate(tiny_plan(1));
  EXPECT_TRUE(report.removal.steps.empty());
  const Json unit = report_to_json(report).at("removal").at("layers")[0];
  EXPECT_TRUE(unit.at("latent_rel_l2_low").is_null());
  EXPECT_EQ(unit.at("of_prompt").size(), 1u);
}

TEST(Removal, NamesOfUnits) {
  EXPECT_EQ(to_string(parse_removal("")), "");
  EXPECT_EQ(to_string(parse_removal("steps")), "steps");
  EXPECT_EQ(to_string(parse_removal("steps,layers")), "layers,steps");
  for (const char* text : {"heads", "layers,", "layers,layers", "layers steps", ","}) {
    EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { parse_removal(text); }), HasSubstr("--removal"));
  }
}

}  // namespace
}  // namespace sparsescope
