// summary as a user types it: tables for reading, JSON in full, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SummaryOfTinyWan : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempDir>();
    const std::string prompts = folder_
                                    ->write("prompts.txt",
                                            "a yellow diamond moving right on plain\n"
                                            "a blue ring moving still on plain\n")
                                    .string();
    profile_ = (*folder_ / "run.h5").string();
    const ProgramRun run = run_program(
        {"profile", SPARSESCOPE_DATA "/tiny-wan", "--prompts", prompts, "--grid", "4,8,8", "--tile",
         "2,2,2", "--steps", "2", "--partitions", "temporal:1 spatial:4,4 st:2,4,4", "--maps",
         "step=0,1 layer=3 head=*", "--progress", "never", "--out", profile_});
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static inline std::unique_ptr<TempDir> folder_;
  static inline std::string profile_;
};

TEST_F(SummaryOfTinyWan, PrintsEveryFinding) {
  const ProgramRun run = run_program({"summary", profile_, "--top", "3"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  for (const char* part :
       {"8 layers of 3 heads", "KEY FACTS", "HEAD CLASSES", "STABILITY OF A HEAD'S KEY TILES",
        "STABILITY OF EACH QUERY TILE'S KEY TILES", "BSA'S PREMISE", "QUERIES THAT RESEMBLE",
        "WHERE RECALL MISLEADS", "VMOBA'S PARTITIONS", "plain cycle"}) {
    EXPECT_THAT(run.out, HasSubstr(part));
  }
}

TEST_F(SummaryOfTinyWan, GivesAllOfItAsJson) {
  const ProgramRun run = run_program({"summary", profile_, "--json", "--budget", "0.125"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json.at("format"), "sparsescope-summary");
  EXPECT_EQ(json.at("budget"), 0.125);
  EXPECT_EQ(json.at("profile").at("prompts"), 2);
  const auto& findings = json.at("findings");
  EXPECT_EQ(findings.at("head_classes").at("heads").size(), 8u * 3);
  EXPECT_EQ(findings.at("score_premise").at("heads").size(), 8u * 3);
  EXPECT_EQ(findings.at("map_stability").at("source"), "maps");
  EXPECT_GT(findings.at("query_premise").at("windows").size(), 1u);
  // What both say of all tiles is one number.
  const auto& last = findings.at("key_facts").at("coverage").back();
  EXPECT_NEAR(last.at("pooled").at("mean").get<double>(), 1, 1e-5);
  EXPECT_EQ(last.at("kept"), json.at("profile").at("tiles"));
  EXPECT_TRUE(json.at("missing").empty()) << json.at("missing");
}

TEST_F(SummaryOfTinyWan, WrongNumbersAndFilesAreRefused) {
  EXPECT_THAT(run_program({"summary", profile_, "--budget", "1.5"}).err,
              AllOf(HasSubstr("--budget"), HasSubstr("1.5")));
  EXPECT_EQ(run_program({"summary", profile_, "--budget", "1.5"}).exit_code, 2);
  EXPECT_EQ(run_program({"summary", profile_, "--top", "0"}).exit_code, 2);
  EXPECT_EQ(run_program({"summary", SPARSESCOPE_DATA "/tiny-wan/model_index.json"}).exit_code, 3);
}

}  // namespace
}  // namespace sparsescope::testing
