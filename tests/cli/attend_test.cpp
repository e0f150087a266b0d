// attend as a user meets it: every golden case by each back end and instruction set, plans that are
// saved, drawn and run again, and the exit codes of what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "checkpoint/safetensors.h"
#include "cli/run_program.h"
#include "kernels/impl.h"
#include "support/golden_methods.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Arguments = std::vector<std::string>;

Arguments attend_arguments(const GoldenMethod& golden, const fs::path& out,
                           const Arguments& more = {}) {
  Arguments arguments = {"attend", "--inputs", golden.inputs.string(), "--out", out.string()};
  arguments.insert(arguments.end(), golden.args.begin(), golden.args.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Forces an instruction set on the programs that a test starts.
class ForcedIsa {
 public:
  explicit ForcedIsa(const std::string& isa) { ::setenv("SPARSESCOPE_ISA", isa.c_str(), 1); }
  ~ForcedIsa() { ::unsetenv("SPARSESCOPE_ISA"); }
};

class AttendGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(AttendGolden, EveryBackendAndInstructionSet) {
  const GoldenMethod golden = golden_method(GetParam());
  const TempDir folder;
  for (const Impl impl : available_impls()) {
    const std::string name(impl_name(impl));
    const bool reference = impl == Impl::kReference;
    const ForcedIsa isa(reference ? "base" : name.substr(std::string("cpu-").size()));
    const fs::path out = folder / (name + ".safetensors");
    const ProgramRun run = run_program(
        attend_arguments(golden, out, {"--backend", reference ? "reference" : "cpu", "--json"}));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(nlohmann::json::parse(run.out).at("backend"), name);
    golden.expect(read_arrays(out), name);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AttendGolden, ::testing::ValuesIn(golden_method_names()),
                         [](const auto& instance) { return instance.param; });

TEST(Attend, APlanIsSavedDrawnPrintedAndRunAgain) {
  const TempDir folder;
  for (const char* name : {"vsa_ragged_gate", "bsa_default_ragged", "vmoba_t_topk"}) {
    const GoldenMethod golden = golden_method(name);
    const std::string plan = (folder / "plan.safetensors").string(),
                      picture = (folder / "plan.svg").string(), out = folder / "out.safetensors",
                      again = folder / "again.safetensors";
    const ProgramRun run = run_program(
        attend_arguments(golden, out, {"--save-plan", plan, "--draw", picture, "--force"}));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    EXPECT_THAT(run.out, HasSubstr("density"));
    EXPECT_THAT(read_file(picture), HasSubstr("</svg>"));
    const ProgramRun second =
        run_program({"attend", "--inputs", golden.inputs.string(), "--plan", plan, "--backward",
                     "--dtype", "fp32", "--out", again, "--force"});
    ASSERT_EQ(second.exit_code, 0) << second.err;
    const GoldenArrays first = read_arrays(out);
    for (const auto& [array, values] : read_arrays(again)) {
      EXPECT_EQ(values.values, first.at(array).values) << name << " " << array;
    }
  }
}

// On the processor gradients are the same in every run anyway.
TEST(Attend, DeterministicGradientsAreTheProcessorsOwn) {
  const TempDir folder;
  const GoldenMethod golden = golden_method("vsa_ragged_gate");
  const std::string plan = folder / "plan.safetensors", by_plan = folder / "by_plan.safetensors",
                    plain = folder / "plain.safetensors", asked = folder / "asked.safetensors";
  const std::vector<Arguments> runs = {
      attend_arguments(golden, plain, {"--save-plan", plan}),
      attend_arguments(golden, asked, {"--deterministic"}),
      {"attend", "--inputs", golden.inputs.string(), "--plan", plan, "--backward",
       "--deterministic", "--dtype", "fp32", "--out", by_plan}};
  for (const Arguments& arguments : runs) {
    const ProgramRun run = run_program(arguments);
    ASSERT_EQ(run.exit_code, 0) << run.err;
  }
  const GoldenArrays expected = read_arrays(plain);
  for (const std::string& file : {asked, by_plan}) {
    const GoldenArrays found = read_arrays(file);
    for (const char* array : {"out", "dq", "dk", "dv", "dgate"}) {
      EXPECT_EQ(found.at(array).values, expected.at(array).values) << file << ' ' << array;
    }
  }
}

struct Refusal {
  Arguments arguments;  // besides the inputs of dense_small
  int exit_code;
  std::string message;
};

TEST(Attend, RefusesAndWritesNothing) {
  const GoldenMethod golden = golden_method("vsa_s085_block222");  // no d_out; 240 tokens
  const TempDir folder;
  const std::string out = folder / "out.safetensors", inputs = golden.inputs.string();
  const std::vector<Refusal> refusals = {
      {{"--grid", "3,4,20", "--method", "dense", "--backward"}, 2, "d_out"},
      {{"--grid", "3,4,20", "--method", "dense", "--draw", "x.svg"}, 2, "--draw"},
      {{"--grid", "3,4,20", "--method", "dense", "--backend", "cuda"}, 4, "cuda"},
      {{"--grid", "3,4,20", "--method", "dense", "--backend", "gpu"}, 2, "--backend"},
      {{"--grid", "3,4,21", "--method", "dense"}, 3, "expected [B, H, 252"},
      {{"--grid", "3,4,20", "--prefix", "1", "--method", "dense"}, 3, "expected [B, H, 241"},
      {{"--grid", "3,4,20", "--method", "vsa", "--top-k", "0"}, 2, "--top-k"},
      {{"--grid", "3,4,20", "--method", "vmoba", "--partition", "spatial:3,4", "--top-k", "2"},
       2,
       "the h axis"},
      {{"--grid", "3,4,20", "--method", "bsa", "--preset", "fastvideo"}, 2, "whole tiles"},
      {{"--method", "dense"}, 2, "--grid"},
      {{"--grid", "3,4,20"}, 2, "--method"},
      {{"--grid", "3,4,20", "--method", "vsa", "--top-k", "1", "--save-plan", out}, 2, "twice"},
      {{"--plan", inputs}, 3, "expected a block plan"}};
  for (const Refusal& refusal : refusals) {
    Arguments arguments = {"attend", "--inputs", inputs, "--out", out};
    arguments.insert(arguments.end(), refusal.arguments.begin(), refusal.arguments.end());
    const ProgramRun run = run_program(arguments);
    EXPECT_EQ(run.exit_code, refusal.exit_code) << refusal.message << ": " << run.err;
    EXPECT_THAT(run.err, HasSubstr(refusal.message));
    EXPECT_EQ(folder.num_entries(), 0u) << refusal.message;
  }
}

// A plan stands for grid, method, text and settings: what contradicts it is refused.
TEST(Attend, APlanRefusesWhatContradictsIt) {
  const GoldenMethod golden = golden_method("vsa_s085_block222");
  const TempDir folder;
  const std::string plan = folder / "plan.safetensors", inputs = golden.inputs.string();
  ASSERT_EQ(
      run_program(attend_arguments(golden, folder / "first.safetensors", {"--save-plan", plan}))
          .exit_code,
      0);
  const std::string out = folder / "out.safetensors";
  const std::vector<Refusal> refusals = {
      {{"--top-k", "2"}, 2, "--top-k: a setting of the selection, which --plan replaces"},
      {{"--grid", "3,4,21"}, 2, "--grid: expected 3,4,20 as in the plan, found '3,4,21'"},
      {{"--method", "bsa"}, 2, "--method: expected vsa as in the plan, found 'bsa'"},
      {{"--prefix", "1"}, 2, "--prefix, --suffix: expected 0, 0 as in the plan, found 1, 0"},
      {{"--suffix", "2"}, 2, "found 0, 2"},
      {{"--backward"}, 2, "d_out"}};
  for (const Refusal& refusal : refusals) {
    Arguments arguments = {"attend", "--inputs", inputs, "--plan", plan, "--out", out};
    arguments.insert(arguments.end(), refusal.arguments.begin(), refusal.arguments.end());
    const ProgramRun run = run_program(arguments);
    EXPECT_EQ(run.exit_code, refusal.exit_code) << run.err;
    EXPECT_THAT(run.err, HasSubstr(refusal.message));
    EXPECT_FALSE(fs::exists(out)) << refusal.message;
  }
  const ProgramRun same = run_program({"attend", "--inputs", inputs, "--plan", plan, "--grid",
                                       "3,4,20", "--method", "vsa", "--out", out});
  EXPECT_EQ(same.exit_code, 0) << same.err;
}

// The public code lets a query attend to blocks of another sample there, which no mask of one
// sample's blocks can hold.
TEST(Attend, CompatRefusesBlocksOfOtherSamples) {
  const TempDir folder;
  const std::string inputs = folder / "two.safetensors";
  const std::vector<float> values(2 * 6 * 4, 0.5f);
  std::vector<TensorToWrite> tensors;
  for (const char* name : {"q", "k", "v"}) {
    tensors.push_back({name, Dtype::kF32, {2, 1, 6, 4}, std::as_bytes(std::span(values))});
  }
  write_safetensors(inputs, std::move(tensors), {}, false);
  const auto attend = [&](const char* top_k, const char* pool, const Arguments& more) {
    Arguments arguments = {"attend", "--inputs",    inputs,       "--grid",
                           "6,1,1",  "--method",    "vmoba",      "--pool",
                           pool,     "--partition", "temporal:2", "--top-k",
                           top_k,    "--force",     "--out",      folder / "out.safetensors"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  };
  const ProgramRun refused = attend("4", "head_global", {"--compat"});
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, HasSubstr("picks blocks of other samples"));
  EXPECT_EQ(folder.num_entries(), 1u);
  EXPECT_EQ(attend("4", "head_global", {}).exit_code, 0);
  EXPECT_EQ(attend("3", "head_global", {"--compat"}).exit_code, 0);
  EXPECT_EQ(attend("4", "overall", {"--compat"}).exit_code, 0);
}

TEST(Attend, NeverReplacesWithoutForce) {
  const GoldenMethod golden = golden_method("dense_prefix");
  const TempDir folder;
  const fs::path out = folder.write("out.safetensors", "mine");
  EXPECT_EQ(run_program(attend_arguments(golden, out)).exit_code, 2);
  EXPECT_EQ(read_file(out), "mine");
  EXPECT_EQ(run_program(attend_arguments(golden, out, {"--force"})).exit_code, 0);
  golden.expect(read_arrays(out), "replaced");
}

}  // namespace
}  // namespace sparsescope::testing
