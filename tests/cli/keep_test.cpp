// What `profile --keep-qkv --keep-videos` leaves in the file, and what the program refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "stats/profile_store.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Arguments = std::vector<std::string>;

const std::string kTinyWan = SPARSESCOPE_DATA "/tiny-wan";

class Keep : public ::testing::Test {
 protected:
  ProgramRun profile(const std::string& checkpoint, const fs::path& out, const Arguments& more) {
    Arguments arguments = {"profile", checkpoint, "--prompts",  prompts_.string(), "--grid",
                           "2,4,4",   "--tile",   "2,2,2",      "--steps",         "2",
                           "--force", "--out",    out.string(), "--progress",      "never"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }

  TempDir folder_;
  fs::path prompts_ = folder_.write("prompts.txt",
                                    "a yellow diamond moving right on plain\n"
                                    "a blue ring moving still on plain\n");
};

TEST_F(Keep, WhatWasAskedForStandsInTheFile) {
  const fs::path out = folder_ / "run.h5";
  const ProgramRun run = profile(kTinyWan, out,
                                 {"--keep-qkv", "step=1 layer=3 head=0,2", "--keep-videos",
                                  "--record-prompts", "1", "--record-steps", "0"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const ProgramRun check = run_program({"check", out.string()});
  EXPECT_EQ(check.exit_code, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("q, k, v of 2 calls, 1 final latents, 1 videos"));

  const Profile kept = read_profile(out);
  const KeptCall& call = kept.kept.calls.at("p1_b1_s1_l3");
  EXPECT_THAT(call.heads, ElementsAre(0, 2));
  EXPECT_THAT(call.qkv[0].shape, ElementsAre(2, 32, 64));
  EXPECT_EQ(call.scale, 0.125);
  EXPECT_THAT(kept.kept.latents.at(1).shape, ElementsAre(16, 2, 8, 8));
  EXPECT_THAT(kept.kept.videos.at(1).shape, ElementsAre(2, 32, 32, 3));
}

TEST_F(Keep, WithoutACodecTheLatentsAloneAreKept) {
  fs::copy(kTinyWan, folder_ / "plain", fs::copy_options::recursive);
  fs::remove_all(folder_ / "plain" / "codec");
  auto index = nlohmann::json::parse(read_file(folder_ / "plain" / "model_index.json"));
  index.erase("codec");
  folder_.write("plain/model_index.json", index.dump());
  const ProgramRun run =
      profile((folder_ / "plain").string(), folder_ / "run.h5", {"--keep-videos"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("no codec; only the latents are kept"));
  const Profile kept = read_profile(folder_ / "run.h5");
  EXPECT_EQ(kept.kept.latents.size(), 2u);
  EXPECT_TRUE(kept.kept.videos.empty());
}

TEST_F(Keep, RefusesSitesThatAreNotThere) {
  const ProgramRun run = profile(kTinyWan, folder_ / "run.h5", {"--keep-qkv", "step=2"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--keep-qkv step: expected numbers from 0 to 1"));
  EXPECT_EQ(profile(kTinyWan, folder_ / "run.h5",
                    {"--effects-only", "--sensitivity", "1", "--keep-qkv", "step=0"})
                .exit_code,
            2);
  EXPECT_FALSE(fs::exists(folder_ / "run.h5"));
}

}  // namespace
}  // namespace sparsescope::testing
