// From the checkpoint to the report on a small grid, as a user would type it: every command's
// result, outputs that exist, outputs that fail, and a run that is killed and started again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/run_program.h"
#include "stats/profile_store.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Arguments = std::vector<std::string>;

const std::string kTinyWan = SPARSESCOPE_DATA "/tiny-wan";

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// One line of the calibration prompts keeps the runs short.
fs::path write_prompts(const TempDir& folder) {
  return folder.write("prompts.txt", "a yellow diamond moving right on plain\n");
}

Arguments profile_arguments(const fs::path& prompts, const fs::path& out,
                            const std::string& steps) {
  return {"profile", kTinyWan,    "--prompts", prompts.string(), "--grid", "2,4,4",      "--tile",
          "2,2,2",   "--steps",   steps,       "--threads",      "2",      "--progress", "never",
          "--out",   out.string()};
}

// Runs with --json, expects success, and returns the one object.
nlohmann::json run_json(const Arguments& arguments) {
  const ProgramRun run = run_program(arguments + Arguments{"--json"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(nlohmann::json::accept(run.out)) << run.out;
  return nlohmann::json::parse(run.out, nullptr, false);
}

TEST(Flow, FromTheCheckpointToTheReport) {
  const TempDir folder;
  const fs::path prompts = write_prompts(folder);
  const fs::path profile = folder / "run.h5", plan = folder / "plan.json",
                 report = folder / "report.json";

  EXPECT_TRUE(run_json(profile_arguments(prompts, profile, "2")).is_object());
  EXPECT_FALSE(fs::exists(folder / "run.h5.parts"));
  EXPECT_EQ(run_json({"check", profile.string()}).at("kind"), "profile");

  const std::string heldout =
      folder.write("heldout.txt", "a blue ring moving still on plain\n").string();
  for (const std::string method : {"vsa", "bsa", "vmoba"}) {
    run_json({"derive", profile.string(), "--method", method, "--target", "recall=0.8", "--force",
              "--out", plan.string()});
    EXPECT_EQ(run_json({"check", plan.string()}).at("kind"), "plan") << method;
    run_json({"validate", kTinyWan, "--plan", plan.string(), "--prompts", heldout, "--force",
              "--out", report.string()});
    EXPECT_EQ(run_json({"check", report.string()}).at("kind"), "report") << method;

    const auto written = nlohmann::json::parse(read_file(report));
    const auto& summary = written.at("summary");
    EXPECT_GT(summary.at("density").get<double>(), 0.0);
    EXPECT_LE(summary.at("density").get<double>(), 1.0);
    // tiny-wan: 1 prompt, 2 branches, 2 steps, 8 layers, 3 heads
    EXPECT_EQ(written.at("sites").size(), 1u * 2 * 2 * 8 * 3);
  }
}

// 4 tiles; VSA's time over that of dense attention, in hundredths: at_zero + 80 * density.
fs::path write_vsa_costs(const TempDir& folder, double at_zero) {
  nlohmann::json costs = {{"format", "sparsescope-costs"},
                          {"version", 1},
                          {"threads", 1},
                          {"repeats", 1},
                          {"inputs", "none"},
                          {"command_line", ""},
                          {"dense_ms", 100}};
  costs["shape"] = {{"heads", 3},  {"head_dim", 64}, {"grid", {2, 4, 4}}, {"tile", {2, 2, 2}},
                    {"prefix", 0}, {"suffix", 0},    {"dtype", "fp32"}};
  costs["machine"] = {{"cpu", "by hand"}, {"kernels", "none"}};
  costs["series"] = {{{"method", "vsa"}, {"points", nlohmann::json::array()}}};
  for (const double density : {0.25, 0.75}) {
    costs["series"][0]["points"].push_back({{"density", density},
                                            {"selection_ms", at_zero},
                                            {"kernel_ms", 80 * density},
                                            {"spread_ms", 0}});
  }
  return folder.write("costs.json", costs.dump());
}

TEST(Flow, CostsDecideWhereSparsityPays) {
  const TempDir folder;
  const fs::path profile = folder / "run.h5", plan = folder / "plan.json";
  run_json(profile_arguments(write_prompts(folder), profile, "1"));
  const auto derive = [&](const std::string& target) {
    return Arguments{"derive",   profile.string(), "--method", "vsa",
                     "--target", target,           "--costs",  (folder / "costs.json").string(),
                     "--out",    plan.string(),    "--force"};
  };

  write_vsa_costs(folder, 10);
  EXPECT_EQ(run_json({"check", (folder / "costs.json").string()}).at("kind"), "costs file");
  const auto fast = run_json(derive("speedup=2"));
  EXPECT_EQ(fast.at("method"), "vsa");
  EXPECT_GE(fast.at("expected").at("speedup").at("mean").get<double>(), 2.0 - 1e-6);
  const auto evidence = nlohmann::json::parse(read_file(plan)).at("evidence");
  EXPECT_EQ(evidence.at("costs").at("file"), "costs.json");
  EXPECT_EQ(evidence.at("cost").at("time").at("measured_on").at("cpu"), "by hand");
  EXPECT_GT(evidence.at("cost").at("flops").at("attention_speedup").get<double>(), 1.0);
  const ProgramRun beyond = run_program(derive("speedup=6"));
  EXPECT_EQ(beyond.exit_code, 2);
  EXPECT_THAT(beyond.err, HasSubstr("3.333"));  // 1 / (0.1 + 0.8 / 4)

  write_vsa_costs(folder, 95);
  const ProgramRun slow = run_program(derive("speedup=2"));
  EXPECT_EQ(slow.exit_code, 0) << slow.err;
  EXPECT_THAT(slow.err, HasSubstr("sparsity does not pay"));
  EXPECT_EQ(nlohmann::json::parse(read_file(plan)).at("method"), "dense");
  EXPECT_EQ(run_json({"check", plan.string()}).at("kind"), "plan");

  EXPECT_EQ(run_program({"derive", profile.string(), "--method", "vsa", "--target", "speedup=2",
                         "--out", plan.string(), "--force"})
                .exit_code,
            2);
}

// Not the model's defaults: a run that falls back to those is told apart.
const Arguments kUnusualSampling = {"--guidance", "2.5",         "--shift",
                                    "4",          "--scheduler", "flow-euler"};

TEST(Flow, APlanIsJudgedOnTheTrajectoryItWasMeasuredOn) {
  const TempDir folder;
  const fs::path prompts = write_prompts(folder);
  const fs::path profile = folder / "run.h5", plan = folder / "plan.json",
                 report = folder / "report.json";
  run_json(profile_arguments(prompts, profile, "1") + kUnusualSampling);
  run_json({"derive", profile.string(), "--method", "vsa", "--target", "recall=0.8", "--out",
            plan.string()});
  const auto evidence = nlohmann::json::parse(read_file(plan)).at("evidence");
  EXPECT_THAT(evidence.at("command_line").get<std::string>(),
              HasSubstr("derive " + profile.string() + " --method vsa"));
  EXPECT_EQ(evidence.at("prompts")[0], "a yellow diamond moving right on plain");
  EXPECT_EQ(evidence.at("sampling").at("guidance"), 2.5);

  const Arguments validate = {"validate",    kTinyWan,        "--plan",
                              plan.string(), "--prompts",     prompts.string(),
                              "--out",       report.string(), "--force"};
  const ProgramRun same = run_program(validate);
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(nlohmann::json::parse(read_file(report)).at("sampling"), evidence.at("sampling"));
  EXPECT_EQ(same.err.find("--guidance"), std::string::npos) << same.err;
  EXPECT_THAT(same.err, HasSubstr("a yellow diamond moving right on plain"));  // seen

  const ProgramRun other = run_program(validate + Arguments{"--guidance", "1"});
  EXPECT_EQ(nlohmann::json::parse(read_file(report)).at("sampling").at("guidance"), 1.0);
  EXPECT_THAT(other.err, HasSubstr("--guidance 1: the plan was measured with 2.5"));
}

TEST(Flow, AMissedRequirementIsExitSixAndTheReportIsWritten) {
  const TempDir folder;
  const fs::path prompts = write_prompts(folder);
  const fs::path profile = folder / "run.h5", plan = folder / "plan.json",
                 report = folder / "report.json";
  run_json(profile_arguments(prompts, profile, "2"));
  run_json({"derive", profile.string(), "--method", "vsa", "--target", "recall=0.8", "--out",
            plan.string()});
  const ProgramRun run =
      run_program({"validate", kTinyWan, "--plan", plan.string(), "--prompts", prompts.string(),
                   "--require", "density<=0.0001", "--out", report.string()});
  EXPECT_EQ(run.exit_code, 6) << run.err;
  const auto requirements =
      nlohmann::json::parse(read_file(report)).at("summary").at("requirements");
  ASSERT_EQ(requirements.size(), 1u);
  EXPECT_EQ(requirements[0].at("holds"), false);
}

TEST(Outputs, AnExistingFileIsRefusedBeforeAnyWork) {
  const TempDir folder;
  const fs::path prompts = write_prompts(folder);
  const fs::path out = folder.write("run.h5", "precious");
  const Arguments arguments = profile_arguments(prompts, out, "2");
  const ProgramRun run = run_program(arguments);
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--force"));
  EXPECT_EQ(read_file(out), "precious");
  EXPECT_EQ(folder.num_entries(), 2u);
}

TEST(Outputs, AFailureLeavesNothingBehind) {
  const TempDir folder;
  const fs::path prompts = write_prompts(folder);
  struct Case {
    Arguments arguments;
    int exit_code;
  };
  const Case cases[] = {
      {{"profile", "/nowhere", "--prompts", prompts.string(), "--grid", "2,4,4", "--out",
        (folder / "a.h5").string()},
       3},
      {{"profile", kTinyWan, "--prompts", "/nowhere.txt", "--grid", "2,4,4", "--out",
        (folder / "b.h5").string()},
       3},
      {{"profile", kTinyWan, "--prompts", prompts.string(), "--grid", "2,4", "--out",
        (folder / "c.h5").string()},
       2},
      {{"derive", "/nowhere.h5", "--method", "vsa", "--target", "recall=0.9", "--out",
        (folder / "d.json").string()},
       3},
      {{"validate", kTinyWan, "--plan", "/nowhere.json", "--prompts", prompts.string(), "--out",
        (folder / "e.json").string()},
       3},
      {{"forward", kTinyWan, "--inputs", "/nowhere.safetensors", "--out",
        (folder / "f.safetensors").string()},
       3},
  };
  for (const Case& one : cases) {
    const ProgramRun run = run_program(one.arguments);
    EXPECT_EQ(run.exit_code, one.exit_code) << one.arguments.front() << ": " << run.err;
    EXPECT_THAT(run.out, IsEmpty());
  }
  EXPECT_EQ(folder.num_entries(), 1u);  // the prompts
}

TEST(Progress, ShowsPlainLinesOffATerminalAndNothingWhenToldSo) {
  const TempDir folder;
  const fs::path prompts = write_prompts(folder);
  const ProgramRun silent = run_program(profile_arguments(prompts, folder / "a.h5", "1"));
  EXPECT_EQ(silent.err.find("1/1"), std::string::npos) << silent.err;
  Arguments arguments = profile_arguments(prompts, folder / "b.h5", "1");
  std::replace(arguments.begin(), arguments.end(), std::string("never"), std::string("auto"));
  const ProgramRun spoken = run_program(arguments);
  EXPECT_THAT(spoken.err, HasSubstr("1/1"));
  EXPECT_EQ(spoken.err.find('\r'), std::string::npos);
}

void expect_same_statistics(const Profile& left, const Profile& right) {
  EXPECT_EQ(left.recorded, right.recorded);
  ASSERT_EQ(left.arrays.size(), right.arrays.size());
  for (const auto& [name, array] : left.arrays) {
    const ProfileArray& other = right.arrays.at(name);
    ASSERT_EQ(array.shape, other.shape) << name;
    for (size_t i = 0; i < array.values.size(); ++i) {
      if (std::isnan(array.values[i]) && std::isnan(other.values[i])) continue;
      ASSERT_FLOAT_EQ(array.values[i], other.values[i]) << name << " at " << i;
    }
  }
}

// Waits until at least one part is finished; false where the run ended before that.
bool wait_for_part(RunningProgram& program, const fs::path& parts) {
  for (int i = 0; i < 6000; ++i) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(parts, ignored)) {
      if (entry.path().extension() == ".safetensors" &&
          entry.path().filename().string()[0] != '.') {
        return true;
      }
    }
    if (program.ended()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

class StoppedProfile : public ::testing::TestWithParam<int> {};

TEST_P(StoppedProfile, GoesOnToTheSameStatistics) {
  const TempDir folder;
  const fs::path prompts = write_prompts(folder);
  run_json(profile_arguments(prompts, folder / "whole.h5", "20"));

  const fs::path out = folder / "stopped.h5", parts = folder / "stopped.h5.parts";
  {
    RunningProgram program(profile_arguments(prompts, out, "20"));
    ASSERT_TRUE(wait_for_part(program, parts)) << "the run ended before it could be stopped";
    program.send(GetParam());
    const ProgramRun run = program.wait();
    EXPECT_EQ(run.exit_code, GetParam() == SIGKILL ? 128 + SIGKILL : 130) << run.err;
    ASSERT_FALSE(fs::exists(out));
  }
  run_json(profile_arguments(prompts, out, "20"));
  EXPECT_FALSE(fs::exists(parts));
  expect_same_statistics(read_profile(folder / "whole.h5"), read_profile(out));
}

// A report without its times.
nlohmann::json measurements(const fs::path& report) {
  auto json = nlohmann::json::parse(read_file(report));
  for (const char* name : {"time_dense_ms", "time_sparse_ms", "time_selection_ms", "speedup"}) {
    json.at("summary").erase(name);
  }
  for (auto& clip : json.at("clips")) clip.erase("speedup");
  return json;
}

TEST(StoppedValidation, KilledItGoesOnToTheSameReport) {
  const TempDir folder;
  const fs::path profile = folder / "run.h5", plan = folder / "plan.json";
  run_json(profile_arguments(write_prompts(folder), profile, "1"));
  run_json({"derive", profile.string(), "--method", "vsa", "--target", "recall=0.8", "--out",
            plan.string()});
  const std::string heldout = folder
                                  .write("heldout.txt",
                                         "a blue ring moving still on plain\n"
                                         "a blue disc moving left on plain\n"
                                         "a yellow ring moving right on plain\n")
                                  .string();
  const auto validate = [&](const fs::path& out) {
    return Arguments{"validate",  kTinyWan, "--plan", plan.string(),
                     "--prompts", heldout,  "--out",  out.string()};
  };
  run_json(validate(folder / "whole.json"));

  const fs::path out = folder / "stopped.json", parts = folder / "stopped.json.parts";
  {
    RunningProgram program(validate(out));
    ASSERT_TRUE(wait_for_part(program, parts)) << "the run ended before it could be stopped";
    program.send(SIGKILL);
    EXPECT_EQ(program.wait().exit_code, 128 + SIGKILL);
    ASSERT_FALSE(fs::exists(out));
  }
  const ProgramRun other = run_program(validate(out) + Arguments{"--guidance", "2"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, HasSubstr("guidance was 5.0 and is 2.0"));
  const ProgramRun resumed = run_program(validate(out));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("prompt 1/3 was finished before"));
  EXPECT_FALSE(fs::exists(parts));
  EXPECT_EQ(measurements(out), measurements(folder / "whole.json"));
}

INSTANTIATE_TEST_SUITE_P(Cli, StoppedProfile, ::testing::Values(SIGKILL, SIGINT),
                         [](const auto& instance) {
                           return instance.param == SIGKILL ? "Killed" : "Interrupted";
                         });

}  // namespace
}  // namespace sparsescope::testing
