// export as a user types it: one file out, one refusal, one file back in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kTinyWan = SPARSESCOPE_DATA "/tiny-wan";

// VSA, 2 layers of 2 heads, 3 of 10 tiles; layer 1 as given.
fs::path write_vsa_plan(const TempDir& folder, int64_t top_k_of_layer_1) {
  nlohmann::json plan = {
      {"format", "sparsescope-plan"},
      {"version", 1},
      {"model",
       {{"family", "wan"}, {"layers", 2}, {"heads", 2}, {"head_dim", 16}, {"checkpoint_hash", ""}}},
      {"steps", 4},
      {"grid", {4, 8, 20}},
      {"tile", {4, 4, 4}},
      {"method", "vsa"},
      {"dense", {{"steps", nlohmann::json::array()}, {"layers", nlohmann::json::array()}}},
      {"expected", nlohmann::json::object()},
      {"evidence", nlohmann::json::object()}};
  plan["rules"] = nlohmann::json::array();
  for (int64_t layer = 0; layer < 2; ++layer) {
    plan["rules"].push_back({{"steps", {0, 3}},
                             {"layers", {layer, layer}},
                             {"heads", {0, 1}},
                             {"top_k", layer == 0 ? 3 : top_k_of_layer_1}});
  }
  return folder.write("plan.json", plan.dump());
}

TEST(Export, WritesAFileThatNamesItsConsumer) {
  const TempDir folder;
  const fs::path out = folder / "vsa.yaml";
  const ProgramRun run = run_program({"export", write_vsa_plan(folder, 3).string(), "--to",
                                      "fastvideo-vsa", "--out", out.string(), "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json.at("consumer"), "FastVideo");
  EXPECT_EQ(json.at("files").size(), 2u);
  EXPECT_THAT(read_file(out), HasSubstr("VSA_sparsity: 0.75\n"));
  EXPECT_TRUE(fs::exists(out.string() + ".provenance.json"));
}

TEST(Export, RefusesWhatTheFormatCannotHoldUnlessProjected) {
  const TempDir folder;
  const fs::path plan = write_vsa_plan(folder, 6), out = folder / "vsa.yaml";
  const std::vector<std::string> arguments = {"export",        plan.string(), "--to",
                                              "fastvideo-vsa", "--out",       out.string()};
  const ProgramRun refused = run_program(arguments);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("per-layer values: top-k 3 to 6"));
  EXPECT_THAT(refused.err, HasSubstr("--project"));
  EXPECT_THAT(refused.out, IsEmpty());
  EXPECT_FALSE(fs::exists(out));

  std::vector<std::string> projected = arguments;
  projected.push_back("--project");
  const ProgramRun run = run_program(projected);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("changed: per-layer values"));
  EXPECT_THAT(read_file(out), HasSubstr("VSA_sparsity: 0.4499999"));  // 6 of 10 tiles: 1 - 5.5/10
}

TEST(Export, UnknownAndRefusedFormats) {
  const TempDir folder;
  const std::string plan = write_vsa_plan(folder, 3).string(), out = (folder / "x").string();
  EXPECT_EQ(run_program({"export", plan, "--to", "nothing", "--out", out}).exit_code, 2);
  EXPECT_EQ(run_program({"export", plan, "--to", "plan", "--out", out}).exit_code, 2);
  EXPECT_EQ(run_program({"export", plan, "--to", "modelopt-skip-softmax", "--out", out}).exit_code,
            4);
  const ProgramRun list = run_program({"export", "--list"});
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.out, HasSubstr("fastvideo-vmoba"));
}

TEST(Export, APublicVmobaFileBecomesAPlanThatIsValidated) {
  const TempDir folder;
  const fs::path file = folder.write("vmoba.json", R"({
    "temporal_chunk_size": 1, "temporal_topk": 1, "spatial_chunk_size": [2, 2], "spatial_topk": 3,
    "st_chunk_size": [1, 2, 2], "st_topk": 4, "moba_select_mode": "topk", "first_full_step": 1})");
  const fs::path plan = folder / "plan.json", report = folder / "report.json";
  const std::vector<std::string> arguments = {
      "export", file.string(), "--from",  "fastvideo-vmoba", "--to",    "plan",
      "--out",  plan.string(), "--model", kTinyWan,          "--steps", "1"};
  std::vector<std::string> other_grid = arguments;
  other_grid.insert(other_grid.end(), {"--grid", "2,5,4"});
  EXPECT_EQ(run_program(other_grid).exit_code, 2);

  std::vector<std::string> fitting = arguments;
  fitting.insert(fitting.end(), {"--grid", "2,4,4"});
  const ProgramRun imported = run_program(fitting);
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_THAT(imported.err, HasSubstr("first_full_step 1 is read by neither"));
  EXPECT_THAT(imported.err, HasSubstr("top-k 1 of temporal:1"));
  EXPECT_EQ(run_program({"check", plan.string()}).exit_code, 0);
  const std::string prompts =
      folder.write("prompts.txt", "a blue ring moving still on plain\n").string();
  const ProgramRun validated =
      run_program({"validate", kTinyWan, "--plan", plan.string(), "--prompts", prompts,
                   "--progress", "never", "--out", report.string()});
  EXPECT_EQ(validated.exit_code, 0) << validated.err;
}

TEST(Export, SvooTakesTheProfileBehindThePlanAlone) {
  const TempDir folder;
  const std::string prompts =
      folder.write("prompts.txt", "a blue ring moving still on plain\n").string();
  const auto run = [](const std::vector<std::string>& arguments) {
    const ProgramRun result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  };
  for (const std::string seed : {"0", "1"}) {
    run({"profile", kTinyWan, "--prompts", prompts, "--grid", "2,4,4", "--tile", "2,2,2", "--steps",
         "1", "--seed", seed, "--progress", "never", "--out",
         (folder / ("run" + seed + ".h5")).string()});
  }
  const std::string plan = (folder / "plan.json").string(), out = (folder / "x.csv").string();
  run({"derive", (folder / "run0.h5").string(), "--method", "vsa", "--target", "recall=0.8",
       "--out", plan});
  const ProgramRun other = run_program(
      {"export", plan, "--to", "svoo", "--profile", (folder / "run1.h5").string(), "--out", out});
  EXPECT_EQ(other.exit_code, 3);
  EXPECT_THAT(other.err, HasSubstr("the profile that the plan was derived from"));
  run({"export", plan, "--to", "svoo", "--profile", (folder / "run0.h5").string(), "--out", out});
  EXPECT_THAT(read_file(out), ::testing::StartsWith("Step,Layer,Head,Sparsity\r\n1,0,0,"));
  run({"export", out, "--from", "svoo", "--to", "plan", "--model", kTinyWan, "--grid", "2,4,4",
       "--tile", "2,2,2", "--out", (folder / "imported.json").string()});
}

}  // namespace
}  // namespace sparsescope::testing
