// What commands print on tiny-wan, compared with tests/golden/cli/*.txt. Times, hashes and paths of
// the machine are masked. SPARSESCOPE_UPDATE_GOLDEN=1 rewrites the files: review the difference.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>

#include "cli/run_program.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;

const std::string kData = SPARSESCOPE_DATA;

std::string masked(std::string text, const std::string& folder) {
  const std::pair<std::string, std::string> plain[] = {{folder, "<folder>"}, {kData, "<data>"}};
  for (const auto& [from, to] : plain) {
    for (size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  }
  const std::pair<std::regex, std::string> patterns[] = {
      {std::regex("[0-9a-f]{64}"), "<sha-256>"},
      {std::regex("[0-9]+(\\.[0-9]+)? (ms|s|min)\\b"), "<time>"},
      {std::regex("reference(, (cpu|cuda)-[a-z0-9]+)+"), "reference, <what the machine has>"},
      {std::regex("( +gpus +)[^\n]*"), "$1<what the machine has>"}};
  for (const auto& [pattern, to] : patterns) text = std::regex_replace(text, pattern, to);
  return text;
}

void expect_golden(const std::string& name, const std::vector<std::string>& arguments,
                   const std::string& folder = "/nowhere") {
  const ProgramRun run = run_program(arguments);
  const std::string text =
      masked("exit code " + std::to_string(run.exit_code) + "\n--- standard output\n" + run.out +
                 "--- standard error\n" + run.err,
             folder);
  const fs::path golden = fs::path(SPARSESCOPE_TEST_DATA) / "cli" / (name + ".txt");
  if (std::getenv("SPARSESCOPE_UPDATE_GOLDEN") != nullptr) {
    fs::create_directories(golden.parent_path());
    std::ofstream(golden, std::ios::binary) << text;
    return;
  }
  EXPECT_EQ(text, read_file(golden)) << name;
}

TEST(Golden, Inspect) { expect_golden("inspect", {"inspect", kData + "/tiny-wan"}); }

TEST(Golden, InspectVideo) {
  expect_golden("inspect_video", {"inspect", kData + "/tiny-wan", "--video", "8,128,128"});
}

TEST(Golden, Check) {
  expect_golden("check", {"check", kData + "/tiny-wan", "--progress", "never"});
}

TEST(Golden, UnknownCommand) { expect_golden("unknown_command", {"explore"}); }

TEST(Golden, TruncatedCheckpoint) {
  const TempDir folder;
  const std::string whole =
      read_file(kData + "/tiny-wan/transformer/diffusion_pytorch_model-00001-of-00003.safetensors");
  const fs::path path = folder.write("cut.safetensors", whole.substr(0, 1 << 20));
  expect_golden("truncated", {"check", path.string()}, folder.path().string());
}

}  // namespace
}  // namespace sparsescope::testing
