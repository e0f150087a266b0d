// Prompts dealt into those to derive from, to check on and to judge by.
#include "tune/prompt_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "support/expect_error.h"

namespace sparsescope {
namespace {

std::vector<int64_t> all_of(const PromptSplit& split) {
  std::vector<int64_t> all = split.derive;
  all.insert(all.end(), split.check.begin(), split.check.end());
  all.insert(all.end(), split.heldout.begin(), split.heldout.end());
  std::sort(all.begin(), all.end());
  return all;
}

TEST(PromptSplit, NoPromptServesTwice) {
  for (const bool apart : {false, true}) {
    const PromptSplit split = split_prompts(24, 8, 4, apart, 3);
    EXPECT_EQ(split.derive.size(), 8u);
    EXPECT_EQ(split.check.size(), 4u);
    EXPECT_EQ(split.heldout.size(), apart ? 0u : 6u);
    std::vector<int64_t> all = all_of(split);
    EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
  }
}

TEST(PromptSplit, FewPromptsAreSharedOut) {
  const PromptSplit split = split_prompts(6, 8, 4, false, 0);
  std::vector<int64_t> expected(6);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all_of(split), expected);
  EXPECT_EQ(split.derive.size(), 2u);
  EXPECT_EQ(split.check.size(), 2u);
}

TEST(PromptSplit, TheSeedDecides) {
  EXPECT_EQ(split_prompts(24, 8, 4, false, 1).derive, split_prompts(24, 8, 4, false, 1).derive);
  EXPECT_NE(split_prompts(24, 8, 4, false, 1).derive, split_prompts(24, 8, 4, false, 2).derive);
}

TEST(PromptSplit, TooFewAreRefused) {
  EXPECT_THAT(testing::error_of(ErrorKind::kUsage, [] { split_prompts(5, 8, 4, false, 0); }),
              ::testing::HasSubstr("at least 6"));
  EXPECT_THAT(testing::error_of(ErrorKind::kUsage, [] { split_prompts(3, 8, 4, true, 0); }),
              ::testing::HasSubstr("at least 4"));
}

}  // namespace
}  // namespace sparsescope
