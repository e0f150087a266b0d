// tune as a user types it, on a small grid of tiny-wan: from the checkpoint to a judged plan, and
// the table of all methods.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "cli/run_program.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Arguments = std::vector<std::string>;

const std::string kTinyWan = SPARSESCOPE_DATA "/tiny-wan";

class Tune : public ::testing::Test {
 protected:
  Arguments arguments(const std::string& name, const Arguments& more) {
    Arguments result = {"tune",
                        kTinyWan,
                        "--prompts",
                        prompts_,
                        "--grid",
                        "2,4,4",
                        "--tile",
                        "1,2,2",
                        "--steps",
                        "2",
                        "--guidance",
                        "1",
                        "--partitions",
                        "temporal:1 spatial:2,2 st:1,2,2",
                        "--derive-prompts",
                        "2",
                        "--check-prompts",
                        "2",
                        "--progress",
                        "never",
                        "--out",
                        path(name)};
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TempDir folder_;
  std::string prompts_ = folder_
                             .write("prompts.txt",
                                    "a yellow diamond moving right on plain\n"
                                    "a blue ring moving still on plain\n"
                                    "a blue disc moving left on plain\n"
                                    "a red square moving up on checks\n"
                                    "a cyan ring moving down on stripes\n"
                                    "a green disc moving right on plain\n")
                             .string();
};

TEST_F(Tune, ADensityGivesAPlanItsProfileAndItsReport) {
  const ProgramRun run = run_program(arguments("plan.json", {"--target", "density=0.5", "--json"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json found = nlohmann::json::parse(run.out, nullptr, false);
  EXPECT_GE(found.at("tried").size(), 2u);
  EXPECT_LE(found.at("heldout").at("density").get<double>(), 0.5);
  for (const char* name : {"plan.json", "plan.report.json", "plan.profile.h5"}) {
    EXPECT_EQ(run_program({"check", path(name)}).exit_code, 0) << name;
  }
  EXPECT_FALSE(fs::exists(path("plan.json.parts")));

  // The plan is the one that was judged, and says what its check prompts had.
  const ProgramRun again =
      run_program({"validate", kTinyWan, "--plan", path("plan.json"), "--prompts", prompts_,
                   "--progress", "never", "--out", path("again.json")});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  const ProgramRun taken = run_program(arguments("plan.json", {"--target", "density=0.5"}));
  EXPECT_EQ(taken.exit_code, 2);
  EXPECT_THAT(taken.err, HasSubstr("plan.json"));
}

TEST_F(Tune, AnErrorIsMetOrSaidToBeMissed) {
  const ProgramRun run = run_program(arguments("plan.json", {"--target", "error=0.2", "--json"}));
  ASSERT_TRUE(run.exit_code == 0 || run.exit_code == 6) << run.err;
  const nlohmann::json found = nlohmann::json::parse(run.out, nullptr, false);
  const double error = found.at("heldout").at("output_rel_l2").get<double>();
  EXPECT_EQ(found.at("holds").get<bool>(), error <= 0.2);
  EXPECT_EQ(run.exit_code, error <= 0.2 ? 0 : 6);
  const auto& expected = found.at("expected_error");
  EXPECT_EQ(
      found.at("inside_interval").get<bool>(),
      error >= expected.at("low").get<double>() && error <= expected.at("high").get<double>());
}

TEST_F(Tune, GoesOnWhereItWasStopped) {
  RunningProgram stopped(arguments("plan.json", {"--target", "density=0.5"}));
  const fs::path base = fs::path(path("plan.json.parts")) / "base.h5";
  while (!fs::exists(base) && !stopped.ended()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stopped.send(SIGINT);
  stopped.wait();
  if (!fs::exists(path("plan.json"))) {
    const auto measured = fs::last_write_time(base);
    const ProgramRun run = run_program(arguments("plan.json", {"--target", "density=0.5"}));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(fs::last_write_time(path("plan.profile.h5")) >= measured, true);
  }
  EXPECT_TRUE(fs::exists(path("plan.json")));
}

TEST_F(Tune, ASweepSetsAllMethodsSideBySide) {
  const ProgramRun run =
      run_program(arguments("sweep.json", {"--sweep", "--densities", "0.5,0.75", "--json"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json found = nlohmann::json::parse(run.out, nullptr, false);
  std::set<std::pair<std::string, std::string>> kinds;
  for (const auto& point : found.at("points")) {
    kinds.emplace(point.at("method"), point.at("kind"));
    EXPECT_LE(point.at("error_low").get<double>(), point.at("error").get<double>());
  }
  for (const char* kind : {"derived", "uniform", "random", "oracle"}) {
    EXPECT_TRUE(kinds.contains({"vsa", kind})) << kind;
  }
  EXPECT_TRUE(kinds.contains({"bsa", "derived"}));
  EXPECT_TRUE(kinds.contains({"vmoba", "derived"}));
}

// On the model itself; whether anything pays on so small a grid is the machine's.
TEST_F(Tune, ASpeedupIsMeasuredBesideWhatWasForetold) {
  const ProgramRun run = run_program(
      arguments("plan.json", {"--target", "speedup=1.05", "--costs", "measure", "--json"}));
  if (run.exit_code == 2) {  // the fastest settings are slower than that
    EXPECT_THAT(run.err, HasSubstr("--target speedup"));
    return;
  }
  ASSERT_TRUE(run.exit_code == 0 || run.exit_code == 6) << run.err;
  const nlohmann::json found = nlohmann::json::parse(run.out, nullptr, false);
  for (const auto& tried : found.at("tried")) {
    EXPECT_GT(tried.at("speedup_foretold").get<double>(), 0.0);
    EXPECT_GT(tried.at("speedup").get<double>(), 0.0);
  }
  const double speedup = found.at("heldout").at("speedup").get<double>();
  EXPECT_EQ(found.at("holds").get<bool>(), speedup >= 1.05);
  EXPECT_EQ(run_program({"check", path("plan.costs.json")}).exit_code, 0);
}

TEST_F(Tune, NeedsATargetThatItCanTuneFor) {
  EXPECT_EQ(run_program(arguments("p.json", {"--target", "speedup=1.5"})).exit_code, 2);
  EXPECT_EQ(run_program(arguments("p.json", {"--target", "recall=0.9"})).exit_code, 2);
  EXPECT_EQ(run_program(arguments("p.json", {})).exit_code, 2);
  EXPECT_EQ(run_program(arguments("p.json", {"--sweep", "--target", "error=0.1"})).exit_code, 2);
}

}  // namespace
}  // namespace sparsescope::testing
