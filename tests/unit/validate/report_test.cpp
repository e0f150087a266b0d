// Requirements, the summary's arithmetic, and the report file.
#include "validate/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "validate/summary.h"

namespace sparsescope {
namespace {

using ::testing::HasSubstr;

std::string usage_error(const std::string& text) {
  try {
    parse_requirements(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "accepted " << text;
  return "";
}

TEST(Requirements, Parsed) {
  const auto parsed = parse_requirements("  psnr>=28 rel_l2<=0.1\tdensity<=3e-1 ");
  ASSERT_EQ(parsed.size(), 3u);
  EXPECT_EQ(parsed[0].name, "psnr_latent");
  EXPECT_EQ(parsed[0].comparison, BoundKind::kAtLeast);
  EXPECT_EQ(parsed[0].bound, 28);
  EXPECT_EQ(parsed[1].name, "rel_l2");
  EXPECT_EQ(parsed[1].comparison, BoundKind::kAtMost);
  EXPECT_EQ(parsed[2].bound, 0.3);
  EXPECT_TRUE(parse_requirements("").empty());
  EXPECT_TRUE(parsed[0].holds_for(28));
  EXPECT_FALSE(parsed[0].holds_for(27.9));
  EXPECT_FALSE(parsed[1].holds_for(0.2));
}

TEST(Requirements, Refused) {
  const std::string unknown = usage_error("speed>=2");
  EXPECT_THAT(unknown, HasSubstr("speed"));
  for (const std::string& name : summary_names()) EXPECT_THAT(unknown, HasSubstr(name));
  for (const char* text : {"psnr", "psnr>28", "psnr=28", "psnr>=", "psnr>=x", "psnr>=1x",
                           "psnr>=nan", "psnr>=inf", ">=3", "psnr >= 3"}) {
    usage_error(text);
  }
}

// Two prompts with two sites and two forwards each.
std::vector<PromptOutcome> two_prompts() {
  std::vector<PromptOutcome> prompts(2);
  for (size_t i = 0; i < 2; ++i) {
    PromptOutcome& prompt = prompts[i];
    const double base = i == 0 ? 0.2 : 0.4;
    prompt.sites = {{.prompt = static_cast<int64_t>(i), .density = base, .rel_l2 = 0.5},
                    {.prompt = static_cast<int64_t>(i), .layer = 1, .density = base + 0.2}};
    prompt.output_rel_l2 = {0.1, 0.3};
    prompt.times = {{1.0, 0.25, 0.25}, {3.0, 0.75, 0.25}};
    prompt.latent = {30.0 + 2.0 * static_cast<double>(i), 0.9};
  }
  return prompts;
}

TEST(Summary, ByHand) {
  const auto summary = summarize(two_prompts(), clips_of(two_prompts()), 0.95);
  EXPECT_DOUBLE_EQ(summary.at("density").value, 0.4);  // (0.3 + 0.5) / 2
  EXPECT_DOUBLE_EQ(summary.at("rel_l2").value, 0.25);
  EXPECT_DOUBLE_EQ(summary.at("output_rel_l2").value, 0.2);
  EXPECT_DOUBLE_EQ(summary.at("psnr_latent").value, 31.0);
  // s = sqrt(2), t(0.975, 1) = 12.7062047: half = 12.7062047 * sqrt(2) / sqrt(2)
  EXPECT_NEAR(*summary.at("psnr_latent").low, 31 - 12.7062047, 1e-6);
  EXPECT_NEAR(*summary.at("psnr_latent").high, 31 + 12.7062047, 1e-6);
  EXPECT_DOUBLE_EQ(summary.at("time_dense_ms").value, 2000.0);
  EXPECT_DOUBLE_EQ(summary.at("time_sparse_ms").value, 500.0);
  EXPECT_DOUBLE_EQ(summary.at("time_selection_ms").value, 250.0);
  EXPECT_DOUBLE_EQ(summary.at("speedup").value, 2000.0 / 750.0);  // median of 500 and 1000
  EXPECT_FALSE(summary.contains("psnr_pixel"));
  EXPECT_FALSE(summary.at("speedup").has_interval);
}

// Student's t alone would give density 0.4 +- 1.27, rel_l2 0.25 +- 3.18, cosine 0 +- 6.35,
// ssim 0.5 +- 6.35 and psnr 95 +- 63.5.
TEST(Summary, IntervalsEndWhereTheQuantityDoes) {
  auto prompts = two_prompts();
  for (size_t i = 0; i < 2; ++i) {
    const double sign = i == 0 ? -1.0 : 1.0;
    for (SiteResult& site : prompts[i].sites) {
      site.rel_l2 = 0.25 + 0.25 * sign;
      site.cosine = 0.5 * sign;
    }
    prompts[i].latent = {95.0 + 5.0 * sign, 0.5 + 0.5 * sign};
  }
  const auto summary = summarize(prompts, clips_of(prompts), 0.95);
  EXPECT_EQ(summary.at("density").low, 0.0);
  EXPECT_EQ(summary.at("density").high, 1.0);
  EXPECT_EQ(summary.at("rel_l2").low, 0.0);
  EXPECT_NEAR(*summary.at("rel_l2").high, 0.25 + 0.25 * 12.7062047, 1e-6);
  EXPECT_EQ(summary.at("cosine").low, -1.0);
  EXPECT_EQ(summary.at("cosine").high, 1.0);
  EXPECT_EQ(summary.at("ssim_latent").low, -1.0);
  EXPECT_EQ(summary.at("ssim_latent").high, 1.0);
  EXPECT_NEAR(*summary.at("psnr_latent").low, 95 - 5 * 12.7062047, 1e-6);
  EXPECT_EQ(summary.at("psnr_latent").high, 100.0);
}

TEST(Summary, AnInfiniteErrorHasNoInterval) {
  auto prompts = two_prompts();
  prompts[0].sites[0].rel_l2 = std::numeric_limits<double>::infinity();
  const auto summary = summarize(prompts, clips_of(prompts), 0.95);
  EXPECT_FALSE(summary.at("rel_l2").low.has_value());
  EXPECT_FALSE(summary.at("rel_l2").high.has_value());
}

TEST(Summary, OnePromptHasNoInterval) {
  const std::vector<PromptOutcome> one = {two_prompts()[0]};
  const auto summary = summarize(one, clips_of(one), 0.95);
  EXPECT_TRUE(summary.at("density").has_interval);
  EXPECT_FALSE(summary.at("density").low.has_value());
}

ValidationReport sample_report() {
  ValidationReport report;
  report.plan_hash = "aa";
  report.checkpoint_hash = "bb";
  report.prompts = {"a ring", "a disc"};
  report.sampling = SamplingRecord{4, 5.0, "unipc", 3.0, uint64_t{1} << 63, {2, 4, 4}};
  auto outcomes = two_prompts();
  for (PromptOutcome& outcome : outcomes) {
    outcome.pixel = VideoQuality{33, 0.95};
    outcome.layer_alone = {0.1, 0.3};
    report.sites.insert(report.sites.end(), outcome.sites.begin(), outcome.sites.end());
  }
  report.clips = clips_of(outcomes);
  report.summary = summarize(outcomes, report.clips, 0.95);
  report.removal = removal_of(outcomes, 0.95);
  report.requirements = judge(parse_requirements("psnr>=40 density<=0.5"), report.summary);
  return report;
}

TEST(Report, JudgesItsRequirements) {
  const ValidationReport report = sample_report();
  ASSERT_EQ(report.requirements.size(), 2u);
  EXPECT_FALSE(report.requirements[0].holds);
  EXPECT_TRUE(report.requirements[1].holds);
  EXPECT_FALSE(report.holds());
}

TEST(Report, RoundTrip) {
  const ValidationReport report = sample_report();
  const Json json = report_to_json(report);
  EXPECT_EQ(json.at("format"), "sparsescope-report");
  EXPECT_EQ(json.at("summary").at("requirements")[0].at("holds"), false);
  EXPECT_TRUE(json.at("summary").contains("output_rel_l2_low"));
  const ValidationReport read = report_from_json(parse_json(json.dump(), "r"), "r");
  EXPECT_EQ(report_to_json(read), json);
  EXPECT_EQ(read.sampling, report.sampling);
  ASSERT_EQ(read.clips.size(), 2u);
  EXPECT_EQ(read.clips[1].ssim_pixel, 0.95);
  ASSERT_EQ(read.removal.layers.size(), 2u);
  EXPECT_EQ(read.removal.layers[1].latent_rel_l2.value, 0.3);
  ASSERT_EQ(read.sites.size(), 4u);
  EXPECT_EQ(read.sites[3].layer, 1);
  EXPECT_DOUBLE_EQ(read.sites[3].density, 0.6);
}

TEST(Report, InfiniteErrorsStayNumbers) {
  ValidationReport report = sample_report();
  report.sites[0].rel_l2 = std::numeric_limits<double>::infinity();
  const Json json = report_to_json(report);
  EXPECT_EQ(json.at("sites")[0].at("rel_l2"), 1e300);
  EXPECT_NO_THROW(report_from_json(json, "r"));
}

TEST(Report, OlderOnesHaveNoClips) {
  Json json = report_to_json(sample_report());
  json.erase("clips");
  json.erase("removal");
  const ValidationReport read = report_from_json(json, "r");
  EXPECT_TRUE(read.clips.empty());
  EXPECT_TRUE(read.removal.empty());
  EXPECT_EQ(report_to_json(read), json);
}

struct Damage {
  const char* place;
  std::function<void(Json&)> apply;
  ErrorKind kind = ErrorKind::kData;
};

TEST(Report, DamageIsFound) {
  const Damage damages[] = {
      {"/format", [](Json& j) { j["format"] = "sparsescope-plan"; }},
      {"version 3", [](Json& j) { j["version"] = 3; }, ErrorKind::kUnsupported},
      {"/extra", [](Json& j) { j["extra"] = 1; }},
      {"sites", [](Json& j) { j.erase("sites"); }},
      {"/prompts", [](Json& j) { j["prompts"] = Json::array(); }},
      {"/sampling/guidance", [](Json& j) { j["sampling"]["guidance"] = 0.5; }},
      {"/sampling/seed", [](Json& j) { j["sampling"]["seed"] = -1; }},
      {"/sampling/grid",
       [](Json& j) {
         j["sampling"]["grid"] = {2, 4};
       }},
      {"shift", [](Json& j) { j["sampling"].erase("shift"); }},
      {"/clips", [](Json& j) { j["clips"].erase(1); }},
      {"/clips/1/prompt", [](Json& j) { j["clips"][1]["prompt"] = 0; }},
      {"/clips/0/recall", [](Json& j) { j["clips"][0]["recall"] = 1.5; }},
      {"/clips/0/latent_rel_l2", [](Json& j) { j["clips"][0]["latent_rel_l2"] = -1; }},
      {"ssim_pixel", [](Json& j) { j["clips"][0].erase("ssim_pixel"); }},
      {"/removal", [](Json& j) { j["removal"] = Json::object(); }},
      {"/removal/layers/1/layer", [](Json& j) { j["removal"]["layers"][1]["layer"] = 2; }},
      {"/removal/layers/0/of_prompt",
       [](Json& j) { j["removal"]["layers"][0]["of_prompt"].erase(0); }},
      {"latent_rel_l2_low", [](Json& j) { j["removal"]["layers"][0].erase("latent_rel_l2_low"); }},
      {"/removal/steps", [](Json& j) { j["removal"]["steps"] = Json::array(); }},
      {"/sites/1/prompt", [](Json& j) { j["sites"][1]["prompt"] = 2; }},
      {"/sites/0/branch", [](Json& j) { j["sites"][0]["branch"] = 2; }},
      {"/sites/0/density", [](Json& j) { j["sites"][0]["density"] = 1.5; }},
      {"/sites/0/cosine", [](Json& j) { j["sites"][0]["cosine"] = "1"; }},
      {"/sites/0/extra", [](Json& j) { j["sites"][0]["extra"] = 1; }},
      {"recall", [](Json& j) { j["summary"].erase("recall"); }},
      {"/summary/psnr_latent", [](Json& j) { j["summary"]["psnr_latent"] = 101; }},
      {"recall_high", [](Json& j) { j["summary"].erase("recall_high"); }},
      {"/summary/density_high", [](Json& j) { j["summary"]["density_high"] = 1.1; }},
      {"/summary/rel_l2_low", [](Json& j) { j["summary"]["rel_l2_low"] = -0.1; }},
      {"/summary/cosine_low", [](Json& j) { j["summary"]["cosine_low"] = -1.1; }},
      {"/summary", [](Json& j) { j["summary"]["speed"] = 1; }},
      {"/summary/requirements/0/holds",
       [](Json& j) { j["summary"]["requirements"][0]["holds"] = true; }},
      {"/summary/requirements/0/name",
       [](Json& j) { j["summary"]["requirements"][0]["name"] = "x"; }},
  };
  for (const Damage& damage : damages) {
    Json json = report_to_json(sample_report());
    damage.apply(json);
    try {
      report_from_json(json, "report.json");
      ADD_FAILURE() << "accepted damage at " << damage.place;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), damage.kind) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(damage.place));
    }
  }
}

}  // namespace
}  // namespace sparsescope
