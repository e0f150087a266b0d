// The whole flow on two experts: tiny-wan as the high-noise one, and as the low-noise one itself or
// tiny-wan with sharper attention.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "checkpoint/safetensors.h"
#include "cli/run_program.h"
#include "stats/profile_store.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Arguments = std::vector<std::string>;

const fs::path kTinyWan = fs::path(SPARSESCOPE_DATA) / "tiny-wan";
const std::string kPrompts =
    "a yellow diamond moving right on plain\na red disc moving left on plain\n";
const std::string kHeldout = "a blue ring moving still on plain\n";

// Every query norm doubled: softmax of twice the logits.
void sharpen(const fs::path& file) {
  const SafetensorsFile read = SafetensorsFile::open(file);
  std::vector<TensorToWrite> tensors;
  std::vector<StoredTensor> kept;
  std::vector<std::vector<float>> changed;
  changed.reserve(read.tensors().size());
  for (const TensorInfo& info : read.tensors()) {
    kept.push_back(read.fetch(info.name));
    const StoredTensor& stored = kept.back();
    if (!info.name.ends_with("attn1.norm_q.weight")) {
      tensors.push_back({info.name, stored.dtype, stored.shape, {stored.data, stored.bytes}});
      continue;
    }
    std::vector<float>& values = changed.emplace_back(to_float(stored, info.name));
    for (float& value : values) value *= 2.0f;
    tensors.push_back({info.name, Dtype::kF32, stored.shape, bytes_of(values)});
  }
  const fs::path written = file.string() + ".new";
  write_safetensors(written, std::move(tensors), {}, false);
  fs::rename(written, file);
}

// Flow-Euler at tiny-wan's shift 3 has 3 steps: 1000, 751, 8.9.
fs::path two_experts(const TempDir& folder, bool alike) {
  const fs::path root = folder / (alike ? "alike" : "experts");
  fs::copy(kTinyWan, root, fs::copy_options::recursive);
  fs::copy(kTinyWan / "transformer", root / "transformer_2");
  nlohmann::json index = nlohmann::json::parse(read_file(root / "model_index.json"));
  index["boundary_ratio"] = 0.7;
  index["transformer_2"] = index["transformer"];
  folder.write(fs::relative(root / "model_index.json", folder.path()).string(), index.dump());
  for (const auto& entry : fs::directory_iterator(root / "transformer_2")) {
    if (!alike && entry.path().extension() == ".safetensors") sharpen(entry.path());
  }
  return root;
}

nlohmann::json run_json(Arguments arguments) {
  arguments.push_back("--json");
  const ProgramRun run = run_program(arguments);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return nlohmann::json::parse(run.out, nullptr, false);
}

fs::path profile_of(const TempDir& folder, const fs::path& checkpoint, const std::string& name,
                    const Arguments& more = {}) {
  const fs::path out = folder / name;
  Arguments arguments = {"profile",   checkpoint.string(),
                         "--prompts", folder.write("p.txt", kPrompts),
                         "--grid",    "2,4,4",
                         "--tile",    "2,2,2",
                         "--steps",   "3",
                         "--threads", "1",
                         "--out",     out.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  run_json(arguments);
  return out;
}

TEST(TwoExpertFlow, TwiceTheSameCheckpointIsThatCheckpoint) {
  const TempDir folder;
  const fs::path experts = two_experts(folder, true);
  const Arguments effects = {"--sensitivity", "3"};
  const Profile two = read_profile(profile_of(folder, experts, "two.h5", effects));
  const Profile one = read_profile(profile_of(folder, kTinyWan, "one.h5", effects));
  EXPECT_THAT(two.expert, ElementsAre(0, 0, 1));
  ASSERT_EQ(two.arrays.size(), one.arrays.size());
  for (const auto& [name, array] : one.arrays) {
    const std::vector<float>& found = two.arrays.at(name).values;
    ASSERT_EQ(found.size(), array.values.size()) << name;
    const bool same = std::equal(
        found.begin(), found.end(), array.values.begin(),
        [](float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); });
    EXPECT_TRUE(same) << name;
  }
}

TEST(TwoExpertFlow, FromTheCheckpointToTheFilesOfEachTransformer) {
  const TempDir folder;
  const fs::path experts = two_experts(folder, false);
  const nlohmann::json seen = run_json({"inspect", experts.string()});
  EXPECT_EQ(seen.at("boundary").at("ratio"), 0.7);
  EXPECT_EQ(seen.at("boundary").at("timestep"), 700.0);
  EXPECT_EQ(seen.at("low_noise_expert").at("folder"), "transformer_2");
  EXPECT_EQ(seen.at("low_noise_expert").at("layers"), seen.at("layers"));
  EXPECT_THAT(run_json({"check", experts.string()}).dump(), HasSubstr("boundary_ratio 0.7"));

  const fs::path profile = profile_of(
      folder, experts, "run.h5", {"--sensitivity", "2", "--guidance", "3", "--guidance-2", "2"});
  EXPECT_EQ(run_json({"check", profile.string()}).at("kind"), "profile");
  const fs::path plan = folder / "plan.json", report = folder / "report.json";
  for (const std::string target : {"density=0.6", "recall=0.8"}) {
    run_json({"derive", profile.string(), "--method", "vsa", "--target", target, "--per", "layer",
              "--dense-first-steps", "0", "--dense-layers", "none", "--force", "--out",
              plan.string()});
    const nlohmann::json written = nlohmann::json::parse(read_file(plan));
    EXPECT_EQ(written.at("model").at("low_noise_from_step"), 2);
    EXPECT_EQ(written.at("evidence").at("sampling").at("guidance_2"), 2.0);
    for (const auto& rule : written.at("rules")) {
      EXPECT_TRUE(rule.at("steps")[1] < 2 || rule.at("steps")[0] >= 2) << rule;
    }
    run_json({"validate", experts.string(), "--plan", plan.string(), "--prompts",
              folder.write("h.txt", kHeldout), "--force", "--out", report.string()});
    EXPECT_EQ(run_json({"check", report.string()}).at("kind"), "report");
    EXPECT_EQ(nlohmann::json::parse(read_file(report)).at("sampling").at("guidance_2"), 2.0);
  }
  EXPECT_EQ(run_program({"validate", kTinyWan.string(), "--plan", plan.string(), "--prompts",
                         (folder / "h.txt").string(), "--out", (folder / "r.json").string()})
                .exit_code,
            3);
  run_json(
      {"export", plan.string(), "--to", "modelopt-vsa", "--out", (folder / "m.json").string()});
  for (const char* name : {"m.transformer.json", "m.transformer_2.json"}) {
    EXPECT_TRUE(fs::exists(folder / name)) << name;
  }
}

TEST(TwoExpertFlow, TuneClosesTheLoop) {
  const TempDir folder;
  const fs::path plan = folder / "plan.json";
  const fs::path prompts =
      folder.write("p.txt", kPrompts + kHeldout + "a blue disc moving left on plain\n");
  const fs::path heldout =
      folder.write("h.txt", "a red ring moving down on plain\na yellow disc moving up on plain\n");
  const nlohmann::json tuned = run_json({"tune",
                                         two_experts(folder, false).string(),
                                         "--prompts",
                                         prompts,
                                         "--heldout",
                                         heldout,
                                         "--grid",
                                         "2,4,4",
                                         "--tile",
                                         "2,2,2",
                                         "--steps",
                                         "3",
                                         "--guidance",
                                         "3",
                                         "--method",
                                         "vsa",
                                         "--target",
                                         "density=0.7",
                                         "--derive-prompts",
                                         "2",
                                         "--check-prompts",
                                         "2",
                                         "--rounds",
                                         "2",
                                         "--out",
                                         plan});
  EXPECT_TRUE(tuned.contains("heldout"));
  EXPECT_EQ(nlohmann::json::parse(read_file(plan)).at("model").at("low_noise_from_step"), 2);
}

TEST(TwoExpertFlow, WithoutABoundaryIsExitThree) {
  const TempDir folder;
  const fs::path experts = two_experts(folder, true);
  nlohmann::json index = nlohmann::json::parse(read_file(experts / "model_index.json"));
  index.erase("boundary_ratio");
  folder.write("alike/model_index.json", index.dump());
  const ProgramRun run =
      run_program({"profile", experts.string(), "--prompts", folder.write("p.txt", kPrompts),
                   "--grid", "2,4,4", "--steps", "2", "--out", (folder / "run.h5").string()});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_THAT(run.err, HasSubstr("expected boundary_ratio in model_index.json"));
  EXPECT_THAT(run_json({"inspect", experts.string()}).at("warnings").dump(),
              HasSubstr("boundary_ratio"));
  EXPECT_EQ(run_program({"profile", kTinyWan.string(), "--prompts", (folder / "p.txt").string(),
                         "--grid", "2,4,4", "--steps", "2", "--guidance-2", "2", "--out",
                         (folder / "run.h5").string()})
                .exit_code,
            2);
}

}  // namespace
}  // namespace sparsescope::testing
