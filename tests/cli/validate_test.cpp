// What `validate --videos --removal` leaves beside the means: the report's parts, the videos' file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "core/hdf5_file.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Arguments = std::vector<std::string>;

const std::string kTinyWan = SPARSESCOPE_DATA "/tiny-wan";

class ValidateCommand : public ::testing::Test {
 protected:
  ValidateCommand() {
    const std::string prompts =
        folder_.write("prompts.txt", "a yellow diamond moving right on plain\n").string();
    expect_success({"profile", kTinyWan, "--prompts", prompts, "--grid", "2,4,4", "--tile", "2,2,2",
                    "--steps", "2", "--out", (folder_ / "run.h5").string()});
    expect_success({"derive", (folder_ / "run.h5").string(), "--method", "vsa", "--target",
                    "density=0.5", "--out", (folder_ / "plan.json").string()});
  }

  static std::string expect_success(const Arguments& arguments) {
    const ProgramRun run = run_program(arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.out;
  }

  Arguments validate(const Arguments& more) const {
    Arguments arguments = {
        "validate",  kTinyWan,          "--plan", (folder_ / "plan.json").string(),
        "--prompts", heldout_.string(), "--out",  report_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  TempDir folder_;
  fs::path report_ = folder_ / "report.json";
  fs::path heldout_ = folder_.write("heldout.txt",
                                    "a blue ring moving still on plain\n"
                                    "a blue disc moving left on plain\n");
};

// PSNR over all values in [0, 1], from 8 bits a colour.
double psnr_of_bytes(const std::vector<uint8_t>& left, const std::vector<uint8_t>& right) {
  double sum = 0;
  for (size_t i = 0; i < left.size(); ++i) sum += std::pow((left[i] - right[i]) / 255.0, 2);
  return -10 * std::log10(sum / static_cast<double>(left.size()));
}

TEST_F(ValidateCommand, ClipsAndVideosTellTheSame) {
  const fs::path videos = folder_ / "videos.h5";
  expect_success(validate({"--videos", videos.string()}));
  EXPECT_THAT(expect_success({"check", videos.string()}),
              HasSubstr("2 prompts, dense and sparse latents and pixels"));
  EXPECT_THAT(expect_success({"check", report_.string()}), HasSubstr("2 clips"));

  const auto clips = nlohmann::json::parse(read_file(report_)).at("clips");
  ASSERT_EQ(clips.size(), 2u);
  const Hdf5File file = Hdf5File::open(videos);
  for (const int prompt : {0, 1}) {
    const std::string name = "/p" + std::to_string(prompt);
    const auto dense = file.read<uint8_t>("/dense" + name, {2, 32, 32, 3}),
               sparse = file.read<uint8_t>("/sparse" + name, {2, 32, 32, 3});
    EXPECT_NEAR(psnr_of_bytes(dense, sparse), clips[prompt].at("psnr_pixel").get<double>(), 0.1);
    EXPECT_EQ(file.info("/sparse_latents" + name).shape, (std::vector<int64_t>{16, 2, 8, 8}));
  }
}

TEST_F(ValidateCommand, ExistingVideosAreRefusedBeforeAnyWork) {
  const fs::path videos = folder_.write("videos.h5", "precious");
  const ProgramRun run = run_program(validate({"--videos", videos.string()}));
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--force"));
  EXPECT_EQ(read_file(videos), "precious");
  EXPECT_FALSE(fs::exists(report_));
  expect_success(validate({"--videos", videos.string(), "--force"}));
  EXPECT_EQ(Hdf5File::open(videos).string_attribute("/", "format"), "sparsescope-videos");
}

TEST_F(ValidateCommand, EveryLayerAndStepAlone) {
  const std::string text = expect_success(validate({"--removal", "layers,steps"}));
  EXPECT_THAT(text, HasSubstr("layer 7 alone"));
  const auto removal = nlohmann::json::parse(read_file(report_)).at("removal");
  EXPECT_EQ(removal.at("layers").size(), 8u);
  ASSERT_EQ(removal.at("steps").size(), 2u);
  EXPECT_EQ(removal.at("steps")[1].at("step"), 1);
  EXPECT_EQ(removal.at("steps")[1].at("of_prompt").size(), 2u);
  expect_success({"check", report_.string()});
  EXPECT_EQ(run_program(validate({"--removal", "heads", "--force"})).exit_code, 2);
}

}  // namespace
}  // namespace sparsescope::testing
