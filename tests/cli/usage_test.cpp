// Help, wrong arguments and exit codes, as contract and users expect them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kTinyWan = SPARSESCOPE_DATA "/tiny-wan";
const char* const kCommands[] = {"inspect", "check", "forward", "profile", "derive", "validate",
                                 "tune",    "merge", "compare", "summary", "export", "bench"};

class EveryCommand : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryCommand, HelpEndsWithAnExampleOfItself) {
  const std::string command = GetParam();
  const ProgramRun run = run_program({command, "--help"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, HasSubstr("Example:\n  sparsescope " + command + " "));
  for (const char* option :
       {"--device", "--threads", "--seed", "--dtype", "--progress", "--json", "--log-level"}) {
    EXPECT_THAT(run.out, HasSubstr(option));
  }
  EXPECT_THAT(run.err, IsEmpty());
}

TEST_P(EveryCommand, WithoutItsArgumentsIsAWrongCall) {
  const ProgramRun run = run_program({GetParam()});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, HasSubstr("required"));
}

TEST_P(EveryCommand, AnUnknownOptionIsNamedBesideTheAllowedOnes) {
  const ProgramRun run = run_program({GetParam(), "--no-such-option"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.out, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Cli, EveryCommand, ::testing::ValuesIn(kCommands),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Usage, RootHelpListsTheCommands) {
  const ProgramRun run = run_program({"--help"});
  EXPECT_EQ(run.exit_code, 0);
  for (const char* command : kCommands) EXPECT_THAT(run.out, HasSubstr(command));
  EXPECT_THAT(run.err, IsEmpty());
}

TEST(Usage, VersionIsOneLine) {
  const ProgramRun run = run_program({"--version"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, ::testing::MatchesRegex("sparsescope [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Usage, MissingAndUnknownCommandsListTheCommands) {
  const ProgramRun nothing = run_program({});
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_THAT(nothing.err,
              HasSubstr("inspect, check, forward, attend, profile, derive, validate, tune, "
                        "merge, compare, summary, export, render, report, notebook, bench"));
  const ProgramRun unknown = run_program({"explore"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("'explore'"));
  EXPECT_THAT(unknown.err,
              HasSubstr("inspect, check, forward, attend, profile, derive, validate, tune, "
                        "merge, compare, summary, export, render, report, notebook, bench"));
}

TEST(Usage, ExtraArgumentsAreNamedBesideTheAllowedOptions) {
  const ProgramRun run = run_program({"check", kTinyWan, "--no-such-option"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--no-such-option"));
  EXPECT_THAT(run.err, HasSubstr("--log-level"));
}

struct WrongValue {
  const char* option;
  const char* value;
};

class WrongValues : public ::testing::TestWithParam<WrongValue> {};

TEST_P(WrongValues, AreExitTwoAndNameTheOption) {
  const auto [option, value] = GetParam();
  const ProgramRun run = run_program({"check", kTinyWan, option, value});
  EXPECT_EQ(run.exit_code, 2) << run.err;
  EXPECT_THAT(run.err, HasSubstr(option));
  EXPECT_THAT(run.out, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Cli, WrongValues,
    ::testing::Values(WrongValue{"--device", "tpu"}, WrongValue{"--device", "cuda:"},
                      WrongValue{"--device", "cuda:x"}, WrongValue{"--threads", "-1"},
                      WrongValue{"--threads", "two"}, WrongValue{"--seed", "-1"},
                      WrongValue{"--dtype", "fp8"}, WrongValue{"--progress", "always"},
                      WrongValue{"--log-level", "loud"}));

// No machine has that many GPUs.
TEST(ExitCodes, ADeviceThatIsNotThereIsUnsupported) {
  const ProgramRun run = run_program({"check", kTinyWan, "--device", "cuda:4711"});
  EXPECT_EQ(run.exit_code, 4);
  EXPECT_THAT(run.err, AnyOf(HasSubstr("--device cpu"), HasSubstr("expected one of")));
}

TEST(ExitCodes, AMissingFileIsNamed) {
  const ProgramRun run = run_program({"check", "/nowhere/model.safetensors"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, HasSubstr("/nowhere/model.safetensors"));
}

TEST(ExitCodes, BrokenFilesAreExitThreeWithTheirName) {
  const TempDir folder;
  for (const std::string name : {"a.safetensors", "b.h5", "c.json", "d.dat"}) {
    const auto path = folder.write(name, "this is no such file");
    const ProgramRun run = run_program({"check", path.string()});
    EXPECT_EQ(run.exit_code, 3) << name << ": " << run.err;
    EXPECT_THAT(run.err, HasSubstr(name));
    EXPECT_THAT(run.out, IsEmpty());
  }
}

TEST(ExitCodes, AJsonFileOfAnotherFormatIsNoneOfOurs) {
  const TempDir folder;
  const auto path = folder.write("other.json", R"({"format": "recipe", "version": 1})");
  const ProgramRun run = run_program({"check", path.string()});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, HasSubstr("recipe"));
}

TEST(JsonErrors, AreOneObjectWithTheSameExitCode) {
  const std::pair<std::vector<std::string>, int> cases[] = {
      {{"check", "/nowhere/x.h5", "--json"}, 3},
      {{"check", kTinyWan, "--json", "--device", "cuda:4711"}, 4},
      {{"check", kTinyWan, "--threads", "many", "--json"}, 2},
      {{"explore", "--json"}, 2}};
  for (const auto& [arguments, exit_code] : cases) {
    const ProgramRun run = run_program(arguments);
    EXPECT_EQ(run.exit_code, exit_code);
    const auto json = nlohmann::json::parse(run.out);
    EXPECT_EQ(json.at("error").at("exit_code"), exit_code);
    EXPECT_FALSE(json.at("error").at("message").get<std::string>().empty());
  }
}

TEST(LogLevel, OffSilencesTheMessageAndKeepsTheExitCode) {
  const ProgramRun run = run_program({"check", "/nowhere/x.h5", "--log-level", "off"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, IsEmpty());
}

TEST(StandardOutput, ThatCannotBeWrittenIsAnError) {
  if (!std::ofstream("/dev/full").is_open()) GTEST_SKIP() << "/dev/full is not there";
  const ProgramRun run = run_program({"check", kTinyWan}, "/dev/full");
  EXPECT_EQ(run.exit_code, 5);
}

}  // namespace
}  // namespace sparsescope::testing
