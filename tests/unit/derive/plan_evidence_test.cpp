// What a plan keeps of its profile's manifest, and how it is read back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "derive/manifest_evidence.h"
#include "support/expect_error.h"

namespace sparsescope {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Profile sampled_profile() {
  Profile profile;
  profile.manifest = {{"family", "wan"},
                      {"prompts", {"a ring", "a disc"}},
                      {"prompt_hashes", {"aa", "bb"}},
                      {"steps", 20},
                      {"guidance", 4.5},
                      {"scheduler", "unipc"},
                      {"shift", 3.0},
                      {"seed", 17},
                      {"grid", {2, 4, 6}},
                      {"tile", {4, 4, 4}}};
  return profile;
}

const SamplingRecord kSampling{20, 4.5, "unipc", 3.0, 17, {2, 4, 6}};

TEST(PlanEvidence, TakesTheSamplingFromTheManifest) {
  const ProfileEvidence evidence = profile_evidence(sampled_profile());
  EXPECT_THAT(evidence.prompts, ElementsAre("a ring", "a disc"));
  EXPECT_THAT(evidence.prompt_hashes, ElementsAre("aa", "bb"));
  EXPECT_EQ(evidence.sampling, kSampling);
}

TEST(PlanEvidence, TakesTheSecondGuidanceWhereThereIsOne) {
  Profile profile = sampled_profile();
  profile.manifest["guidance_2"] = 3.0;
  SamplingRecord expected = kSampling;
  expected.guidance_2 = 3.0;
  Plan plan;
  write_profile_evidence(plan.evidence, profile_evidence(profile));
  EXPECT_EQ(profile_evidence(plan).sampling, expected);
}

TEST(PlanEvidence, CapturesWereNotSampled) {
  Profile profile;
  profile.manifest = {{"prompts", Json::array()}, {"grid", {2, 4, 6}}};
  const ProfileEvidence evidence = profile_evidence(profile);
  EXPECT_THAT(evidence.prompts, IsEmpty());
  EXPECT_FALSE(evidence.sampling.has_value());
}

TEST(PlanEvidence, IsReadBackFromThePlan) {
  Plan plan;
  plan.evidence = {{"derivation", "kept"}};
  write_profile_evidence(plan.evidence, profile_evidence(sampled_profile()));
  EXPECT_EQ(plan.evidence.at("derivation"), "kept");
  EXPECT_EQ(plan.evidence.at("sampling"), Json({{"steps", 20},
                                                {"guidance", 4.5},
                                                {"scheduler", "unipc"},
                                                {"shift", 3.0},
                                                {"seed", 17},
                                                {"grid", {2, 4, 6}}}));
  const ProfileEvidence read = profile_evidence(plan);
  EXPECT_THAT(read.prompts, ElementsAre("a ring", "a disc"));
  EXPECT_THAT(read.prompt_hashes, ElementsAre("aa", "bb"));
  EXPECT_EQ(read.sampling, kSampling);
}

TEST(PlanEvidence, DamageNamesItsPlace) {
  const std::pair<const char*, Json> damages[] = {
      {"/evidence/sampling/steps", 0},       {"/evidence/sampling/guidance", "5"},
      {"/evidence/sampling/scheduler", 1},   {"/evidence/sampling/shift", 0},
      {"/evidence/sampling/seed", 1.5},      {"/evidence/sampling/grid/1", 0},
      {"/evidence/sampling/unknown_key", 1}, {"/evidence/prompts/0", 1},
      {"/evidence/prompt_hashes", "aa"}};
  for (const auto& [place, value] : damages) {
    Plan plan;
    write_profile_evidence(plan.evidence, profile_evidence(sampled_profile()));
    Json document = {{"evidence", plan.evidence}};
    document[Json::json_pointer(place)] = value;
    plan.evidence = document.at("evidence");
    EXPECT_THAT(testing::error_of(ErrorKind::kData, [&] { profile_evidence(plan); }),
                HasSubstr(place));
  }
}

}  // namespace
}  // namespace sparsescope
