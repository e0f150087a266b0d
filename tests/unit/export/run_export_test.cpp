// The whole call: files, provenance, refusals that leave nothing behind.
#include "export/run_export.h"

#include <gmock/gmock.h>

#include "core/sha256.h"
#include "stats/profile_store.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class RunExport : public ::testing::Test {
 protected:
  ExportRequest request(const Plan& plan, const std::string& format, const std::string& out) {
    write_plan(folder_ / "plan.json", plan, true);
    return {.plan = folder_ / "plan.json",
            .out = folder_ / out,
            .format = format,
            .command_line = "sparsescope export"};
  }

  static Plan per_head_plan() {
    Plan plan = uniform_plan(VsaParams{3});
    add_rule(plan, {0, 3}, {0, 0}, {1, 1}, VsaParams{5});
    return plan;
  }

  TempDir folder_;
};

TEST_F(RunExport, WritesTheFilesAndTheirProvenance) {
  Plan plan = uniform_plan(VsaParams{3});
  plan.evidence = {{"profile", {{"file", "run.h5"}, {"sha256", "abc"}}}};
  const ExportResult result = run_export(request(plan, "modelopt-vsa", "config.json"));
  EXPECT_THAT(result.files, ElementsAre(folder_ / "config.json", folder_ / "config.py",
                                        folder_ / "config.json.provenance.json"));
  const Json provenance = read_json_file(folder_ / "config.json.provenance.json");
  EXPECT_EQ(provenance.at("exported_as"), "modelopt-vsa");
  EXPECT_EQ(provenance.at("plan").at("sha256"), sha256_file(folder_ / "plan.json"));
  EXPECT_EQ(provenance.at("profile_sha256"), "abc");
  EXPECT_EQ(provenance.at("checkpoint_hash"), "c0ffee");
  EXPECT_EQ(provenance.at("files").at(1).at("sha256"), sha256_file(folder_ / "config.py"));
}

TEST_F(RunExport, ProvenanceStandsInsideWhereUnknownKeysAreIgnored) {
  const Plan plan =
      uniform_plan(VmobaParams{.partition = parse_partition("spatial:4,4"), .top_k = 3});
  const ExportResult result = run_export(request(plan, "fastvideo-vmoba", "vmoba.json"));
  EXPECT_THAT(result.files, SizeIs(1));
  const Json json = read_json_file(folder_ / "vmoba.json");
  EXPECT_EQ(json.at("sparsescope").at("plan").at("sha256"), sha256_file(folder_ / "plan.json"));
  EXPECT_FALSE(json.at("moba_config").contains("sparsescope"));
}

TEST_F(RunExport, RefusesWithoutProjectAndLeavesNothing) {
  ExportRequest asked = request(per_head_plan(), "fastvideo-vsa", "vsa.yaml");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { run_export(asked); }),
              AllOf(HasSubstr("per-head values: top-k 3 to 5"), HasSubstr("--project")));
  EXPECT_EQ(folder_.num_entries(), 1u);
  asked.project = true;
  EXPECT_THAT(run_export(asked).changes, SizeIs(2));  // heads, then the layer that now differs
  const Json provenance = read_json_file(folder_ / "vsa.yaml.provenance.json");
  EXPECT_THAT(provenance.at("changes"), SizeIs(2));
}

TEST_F(RunExport, NeverReplacesAnyOfItsFilesWithoutForce) {
  ExportRequest asked = request(uniform_plan(VsaParams{3}), "modelopt-vsa", "config.json");
  folder_.write("config.py", "precious");
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { run_export(asked); }), HasSubstr("config.py"));
  EXPECT_EQ(folder_.num_entries(), 2u);
  EXPECT_EQ(read_file(folder_ / "config.py"), "precious");
  asked.replace = true;
  run_export(asked);
  EXPECT_NE(read_file(folder_ / "config.py"), "precious");
  asked.out = folder_ / "config.py";
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { run_export(asked); }),
              HasSubstr("another extension"));
}

}  // namespace
}  // namespace sparsescope::testing
