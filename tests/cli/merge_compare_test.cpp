// merge and compare as a user types them: shards of tiny-wan are the whole, contradictions are
// refused, and two profiles are held against each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "stats/profile_store.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Arguments = std::vector<std::string>;

const std::string kTinyWan = SPARSESCOPE_DATA "/tiny-wan";

void expect_same_bits(const Profile& found, const Profile& expected) {
  EXPECT_EQ(found.recorded, expected.recorded);
  ASSERT_EQ(found.arrays.size(), expected.arrays.size());
  for (const auto& [name, array] : expected.arrays) {
    const std::vector<float>& values = found.arrays.at(name).values;
    const auto same_bits = [](float x, float y) {
      return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
    };
    EXPECT_TRUE(std::equal(values.begin(), values.end(), array.values.begin(), array.values.end(),
                           same_bits))
        << name;
  }
}

class Profiles : public ::testing::Test {
 protected:
  // One thread: the order of sums, and so the last bit, is then the same in every run.
  std::string profile(const std::string& name, const Arguments& more,
                      const std::string& grid = "2,4,4") {
    const std::string out = (folder_ / name).string();
    Arguments arguments = {"profile",      kTinyWan,     "--prompts", prompts_,  "--grid",
                           grid,           "--tile",     "2,2,2",     "--steps", "2",
                           "--partitions", "temporal:1", "--threads", "1",       "--progress",
                           "never",        "--out",      out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramRun run = run_program(arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return out;
  }

  nlohmann::json json_of(Arguments arguments) {
    arguments.push_back("--json");
    const ProgramRun run = run_program(arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return nlohmann::json::parse(run.out, nullptr, false);
  }

  TempDir folder_;
  std::string prompts_ = folder_
                             .write("prompts.txt",
                                    "a yellow diamond moving right on plain\n"
                                    "a blue ring moving still on plain\n"
                                    "a blue disc moving left on plain\n")
                             .string();
};

TEST_F(Profiles, SplitInThreeByPromptsAndMergedAreTheWhole) {
  const std::string whole = profile("whole.h5", {});
  const std::string a = profile("a.h5", {"--record-prompts", "0"}),
                    b = profile("b.h5", {"--record-prompts", "1"}),
                    c = profile("c.h5", {"--record-prompts", "2"});
  const std::string out = (folder_ / "merged.h5").string();
  const nlohmann::json summary = json_of({"merge", c, a, b, "--out", out});
  EXPECT_EQ(summary.at("sites"), 3 * 2 * 2 * 8);  // prompts, branches, steps, layers
  EXPECT_EQ(summary.at("sources"), 3);
  EXPECT_EQ(run_program({"check", out}).exit_code, 0);

  const Profile expected = read_profile(whole), found = read_profile(out);
  EXPECT_EQ(found.manifest.at("prompts"), expected.manifest.at("prompts"));
  expect_same_bits(found, expected);
}

TEST_F(Profiles, SplitInThreeByStepsAndLayersAndMergedAreTheWhole) {
  const std::string whole = profile("whole.h5", {});
  const std::string a = profile("a.h5", {"--record-steps", "0"}),
                    b = profile("b.h5", {"--record-steps", "1", "--record-layers", "0-3"}),
                    c = profile("c.h5", {"--record-steps", "1", "--record-layers", "4-7"});
  const std::string out = (folder_ / "merged.h5").string();
  json_of({"merge", a, b, c, "--out", out});
  expect_same_bits(read_profile(out), read_profile(whole));
}

TEST_F(Profiles, ContradictionsAreExitThreeAndLeaveNothing) {
  const std::string a = profile("a.h5", {"--record-prompts", "0"}),
                    b = profile("b.h5", {"--record-prompts", "1", "--guidance", "2"});
  const fs::path out = folder_ / "merged.h5";
  const ProgramRun run = run_program({"merge", a, b, "--out", out.string()});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("b.h5: manifest: /guidance: expected 5.0"), HasSubstr("found 2.0")));
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Profiles, AMergeNeedsTwoFilesAndAFreePlace) {
  const std::string a = profile("a.h5", {"--record-prompts", "0"});
  const std::string taken = folder_.write("taken.h5", "precious").string();
  EXPECT_EQ(run_program({"merge", a, "--out", (folder_ / "m.h5").string()}).exit_code, 2);
  const ProgramRun run = run_program({"merge", a, a, "--out", taken});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("--force"));
  EXPECT_EQ(read_file(taken), "precious");
  EXPECT_EQ(run_program({"merge", a, a, "--out", taken, "--force"}).exit_code, 0);
  EXPECT_EQ(run_program({"merge", a, "/nowhere.h5", "--out", taken, "--force"}).exit_code, 3);
}

TEST_F(Profiles, OfTwoResolutionsAreCompared) {
  const std::string a = profile("a.h5", {}), b = profile("b.h5", {}, "2,6,6");
  const nlohmann::json found = json_of({"compare", a, b});
  EXPECT_EQ(found.at("same_prompts"), true);
  EXPECT_TRUE(found.at("heavy_key_tiles").is_null()) << "tiles are places of one grid";
  EXPECT_EQ(found.at("steps").size(), 2u);
  const auto& statistics = found.at("statistics");
  const auto named = [&](const char* name) {
    return *std::find_if(statistics.begin(), statistics.end(),
                         [&](const auto& line) { return line.at("name") == name; });
  };
  const auto line = named("coverage_pooled");
  EXPECT_EQ(line.at("heads"), 2 * 2 * 8 * 3);
  EXPECT_GT(line.at("difference").get<double>(), 0);
  EXPECT_GT(line.at("spread_between_prompts").get<double>(), 0);
  EXPECT_GT(line.at("rank_correlation").get<double>(), 0);
  EXPECT_EQ(line.at("difference_interval").size(), 2u);

  const ProgramRun table = run_program({"compare", a, b});
  EXPECT_THAT(table.out,
              AllOf(HasSubstr("coverage_pooled"), HasSubstr("f = 1/4"), HasSubstr("key_mass"),
                    HasSubstr("2,6,6"), HasSubstr(found.at("conclusion").get<std::string>())));
}

TEST_F(Profiles, OfOneRunAgree) {
  const std::string a = profile("a.h5", {"--record-steps", "0"});
  const auto tiles = json_of({"compare", a, a}).at("heavy_key_tiles");
  EXPECT_EQ(tiles.at("jaccard"), 1);
  EXPECT_LT(tiles.at("chance"), 0.5);
  EXPECT_THAT(run_program({"compare", a, a}).out, HasSubstr("heavy key tiles"));
  for (const auto& line : json_of({"compare", a, a}).at("statistics")) {
    EXPECT_EQ(line.at("difference"), 0) << line;
    if (!line.at("rank_correlation").is_null()) {
      EXPECT_NEAR(line.at("rank_correlation").get<double>(), 1, 1e-12) << line;
    }
  }
}

TEST_F(Profiles, RecordPromptsNamesPromptsOfTheFile) {
  const ProgramRun run =
      run_program({"profile", kTinyWan, "--prompts", prompts_, "--grid", "2,4,4",
                   "--record-prompts", "3", "--out", (folder_ / "x.h5").string()});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, AllOf(HasSubstr("--record-prompts"), HasSubstr("0 to 2")));
}

}  // namespace
}  // namespace sparsescope::testing
