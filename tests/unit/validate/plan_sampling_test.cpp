// What the options leave open follows the plan's profile; what they say holds, and is told apart.
#include "validate/plan_sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/sha256.h"

namespace sparsescope {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PlanSampling : public ::testing::Test {
 protected:
  PlanSampling() {
    plan_.num_steps = 20;
    plan_.grid = {2, 4, 6};
    plan_.evidence = {{"prompts", {"a ring"}},
                      {"sampling",
                       {{"steps", 20},
                        {"guidance", 3.5},
                        {"scheduler", "unipc"},
                        {"shift", 7.0},
                        {"seed", 1},
                        {"grid", {2, 4, 6}}}}};
    monitor_.note = [this](const std::string& note) { notes_.push_back(note); };
  }

  SamplingRequest filled(const SamplingRequest& request) {
    return sampled_like_profile(request, plan_, monitor_);
  }

  Plan plan_;
  RunMonitor monitor_;
  std::vector<std::string> notes_;
};

TEST_F(PlanSampling, TakesWhatIsLeftOpenFromThePlan) {
  const SamplingRequest request = filled({.seed = 9});
  EXPECT_EQ(request.steps, 20);
  EXPECT_EQ(request.guidance, 3.5);
  EXPECT_EQ(request.scheduler, "unipc");
  EXPECT_EQ(request.shift, 7.0);
  EXPECT_THAT(request.grid, ElementsAre(2, 4, 6));
  EXPECT_EQ(request.seed, 9u);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(PlanSampling, KeepsTheUsersChoicesAndNotesThem) {
  const SamplingRequest request = filled({.video = {5, 32, 32},
                                          .steps = 10,
                                          .guidance = 0.0,
                                          .shift = 7.0,
                                          .scheduler = "flow-euler"});
  EXPECT_EQ(request.steps, 10);
  EXPECT_EQ(request.guidance, 0.0);
  EXPECT_EQ(request.scheduler, "flow-euler");
  EXPECT_THAT(request.grid, IsEmpty());
  EXPECT_THAT(notes_, ElementsAre(AllOf(HasSubstr("--guidance 1"), HasSubstr("3.5")),
                                  AllOf(HasSubstr("--scheduler flow-euler"), HasSubstr("unipc"))));
}

TEST_F(PlanSampling, ChoicesEqualToThePlansNeedNoNote) {
  filled({.guidance = 3.5, .shift = 7.0, .scheduler = "unipc"});
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(PlanSampling, TheSecondGuidanceGoesWithTheFirst) {
  EXPECT_FALSE(filled({}).guidance_2);  // a single transformer
  plan_.evidence["sampling"]["guidance_2"] = 2.5;
  EXPECT_EQ(filled({}).guidance_2, 2.5);
  EXPECT_FALSE(filled({.guidance = 1.0}).guidance_2);
  notes_.clear();
  EXPECT_EQ(filled({.guidance_2 = 3.0}).guidance_2, 3.0);
  EXPECT_THAT(notes_, ElementsAre(AllOf(HasSubstr("--guidance-2 3"), HasSubstr("2.5"))));
}

TEST_F(PlanSampling, APlanThatDoesNotSayIsNoted) {
  plan_.evidence = Json();
  const SamplingRequest request = filled({});
  EXPECT_EQ(request.steps, 20);
  EXPECT_FALSE(request.guidance.has_value());
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("does not say")));
}

TEST_F(PlanSampling, SeenPromptsByNameWhereThereAreNoHashes) {
  const PromptSet prompts{
      .names = {"a disc", "a ring"},
      .conditional = {HostTensor::zeros({1, 1, 1}), HostTensor::zeros({1, 2, 1})},
      .unconditional = {},
      .source_hash = ""};
  EXPECT_THAT(seen_prompts(plan_, prompts), ElementsAre("a ring"));
}

TEST_F(PlanSampling, SeenEmbeddingsByTheirContent) {
  // The shape as text, then the values.
  const std::string hashed = "[1, 1, 2]" + std::string("\0\0\x80\x3f\0\0\0\x40", 8);
  plan_.evidence["prompt_hashes"] = {sha256_hex(hashed.data(), hashed.size())};
  plan_.evidence["prompts"] = {"embedding 0"};
  const PromptSet prompts{.names = {"embedding 0", "embedding 1"},
                          .conditional = {{{1, 1, 2}, {2.0f, 1.0f}}, {{1, 1, 2}, {1.0f, 2.0f}}},
                          .unconditional = {},
                          .source_hash = ""};
  EXPECT_THAT(seen_prompts(plan_, prompts), ElementsAre("embedding 1"));
}

}  // namespace
}  // namespace sparsescope
