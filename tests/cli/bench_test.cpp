// bench as a user meets it, on problems that take no time; no time is asserted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/run_program.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Arguments = std::vector<std::string>;

Arguments tiny(const Arguments& more) {
  Arguments arguments{"bench",     "attention", "--shape",   "1,2,128,16", "--grid",     "2,8,8",
                      "--repeats", "1",         "--threads", "1",          "--progress", "never"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(BenchAttention, JsonHoldsCheckedRunsOfEveryMethod) {
  const ProgramRun run = run_program(tiny({"--json", "--backward", "--processor-time"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json.at("format"), "sparsescope-bench");
  EXPECT_EQ(json.at("time"), "processor");
  EXPECT_THAT(json.at("command_line").get<std::string>(), HasSubstr("bench attention"));
  std::set<std::string> methods;
  for (const auto& one : json.at("runs")) {
    methods.insert(one.at("method"));
    EXPECT_EQ(one.at("checked"), true);
    EXPECT_LE(one.at("deviation").get<double>(), one.at("bound").get<double>());
    EXPECT_TRUE(one.contains("vs_torch")) << one;
  }
  EXPECT_EQ(methods,
            (std::set<std::string>{"torch", "dense", "masses", "profile", "profile-sampled",
                                   "profile-tiles", "random", "vsa", "bsa", "vmoba"}));
}

TEST(BenchAttention, DeterministicGradientsAreTimedToo) {
  const ProgramRun run =
      run_program(tiny({"--json", "--backward", "--deterministic", "--methods", "vsa"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_THAT(json.at("command_line").get<std::string>(), HasSubstr("--deterministic"));
  int backward = 0;
  for (const auto& one : json.at("runs")) backward += one.at("pass") == "backward" ? 1 : 0;
  EXPECT_GT(backward, 0);
}

TEST(BenchAttention, TableFilesAndReplacement) {
  const TempDir folder;
  const std::string json = (folder / "a.json").string(), csv = (folder / "a.csv").string();
  const Arguments arguments =
      tiny({"--methods", "vsa,torch", "--cache", "both", "--out", json, "--csv", csv});
  const ProgramRun run = run_program(arguments);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("forward, cold caches"));
  EXPECT_EQ(nlohmann::json::parse(read_file(json)).at("kind"), "attention");
  EXPECT_THAT(read_file(csv), HasSubstr("\nvsa,"));
  const ProgramRun again = run_program(arguments);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("--force"));
}

TEST(BenchCosts, WritesAFileThatCheckAccepts) {
  const TempDir folder;
  const std::string out = (folder / "costs.json").string();
  const Arguments arguments{"bench",     "costs", "--shape",    "1,2,128,16", "--grid", "2,8,8",
                            "--repeats", "1",     "--progress", "never",      "--out",  out};
  const ProgramRun run = run_program(arguments);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("bsa query_keep 0.5"));
  EXPECT_EQ(run_program({"check", out}).exit_code, 0);
  const auto costs = nlohmann::json::parse(read_file(out));
  EXPECT_EQ(costs.at("shape").at("grid"), (std::vector<int>{2, 8, 8}));
  EXPECT_THAT(costs.at("machine").at("kernels").get<std::string>(), HasSubstr("cpu"));
  EXPECT_EQ(run_program(arguments).exit_code, 2);  // --force
  EXPECT_EQ(run_program({"bench", "costs", "--grid", "2,8,8", "--out", out}).exit_code, 2);
}

TEST(BenchAttention, WrongArgumentsAreExitTwo) {
  const std::pair<Arguments, const char*> cases[] = {
      {{"bench", "attention", "--shape", "1,2,127,16", "--grid", "2,8,8"}, "S = 128, found 127"},
      {{"bench", "attention", "--shape", "2,128,16", "--grid", "2,8,8"}, "--shape"},
      {{"bench", "attention", "--shape", "1,2,128,16"}, "--grid is required"},
      {tiny({"--prefix", "3"}), "S = 131"},
      {tiny({"--methods", "flash"}), "flash"},
      {tiny({"--densities", "0.5,2"}), "--densities"},
      {tiny({"--partitions", "st:3,3,3"}), "st:3,3,3"},
      {tiny({"--cache", "hot"}), "--cache"},
      {tiny({"--repeats", "0"}), "--repeats"},
      {tiny({"--scaling"}), "--scaling"},
      {tiny({"--no-such-option"}), "bench attention --help"},
      {{"bench", "profile"}, "required"},
  };
  for (const auto& [arguments, message] : cases) {
    const ProgramRun run = run_program(arguments);
    EXPECT_EQ(run.exit_code, 2) << message << ": " << run.err;
    EXPECT_THAT(run.err, HasSubstr(message));
    EXPECT_THAT(run.out, IsEmpty());
  }
}

TEST(BenchAttention, ASlowerInstructionSetIsForcedAndReported) {
  setenv("SPARSESCOPE_ISA", "base", 1);
  const ProgramRun run = run_program(tiny({"--json", "--methods", "torch"}));
  unsetenv("SPARSESCOPE_ISA");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto machine = nlohmann::json::parse(run.out).at("machine");
  EXPECT_EQ(machine.at("kernels"), "cpu-base");
  EXPECT_EQ(machine.at("environment").at("SPARSESCOPE_ISA"), "base");
}

TEST(BenchProfile, TellsTheOverheadAndLeavesNothingBehind) {
  const TempDir folder;
  const std::string prompts =
      folder.write("prompts.txt", "a yellow diamond moving right on plain\n").string();
  setenv("TMPDIR", folder.path().c_str(), 1);
  const ProgramRun run =
      run_program({"bench", "profile", SPARSESCOPE_DATA "/tiny-wan", "--prompts", prompts, "--grid",
                   "2,4,4", "--tile", "2,2,2", "--steps", "1", "--repeats", "1", "--threads", "1",
                   "--progress", "never", "--json"});
  unsetenv("TMPDIR");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json.at("kind"), "profile");
  EXPECT_EQ(json.at("steps"), 1);
  EXPECT_LE(json.at("deviation").get<double>(), json.at("bound").get<double>());
  EXPECT_GT(json.at("overhead_end_to_end").get<double>(), 0);
  EXPECT_EQ(folder.num_entries(), 1u);
}

}  // namespace
}  // namespace sparsescope::testing
