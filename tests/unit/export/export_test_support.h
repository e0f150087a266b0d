// Small plans, and a draft judged as run_export would: written to a folder and verified.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "export/draft_file.h"
#include "export/export_format.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace sparsescope::testing {

struct PlanShape {
  TokenGrid grid{4, 8, 20};  // with tiles of 4,4,4: 10 of them
  TileShape tile{4, 4, 4};
  int64_t steps = 4, layers = 3, heads = 2;
};

inline Plan make_plan(Method method, const PlanShape& shape = {}) {
  Plan plan;
  plan.model = {"wan", shape.layers, shape.heads, 16, "c0ffee"};
  plan.grid = shape.grid;
  plan.tile = shape.tile;
  plan.num_steps = shape.steps;
  plan.method = method;
  return plan;
}

inline void add_rule(Plan& plan, IndexRange steps, IndexRange layers, IndexRange heads,
                     const MethodParams& params) {
  plan.rules.push_back({steps, layers, heads, params});
}

inline Plan uniform_plan(const MethodParams& params, const PlanShape& shape = {}) {
  Plan plan = make_plan(std::holds_alternative<VsaParams>(params)   ? Method::kVsa
                        : std::holds_alternative<BsaParams>(params) ? Method::kBsa
                                                                    : Method::kVmoba,
                        shape);
  add_rule(plan, {0, shape.steps - 1}, {0, shape.layers - 1}, {0, shape.heads - 1}, params);
  return plan;
}

struct Exported {
  std::vector<std::string> texts;  // of the draft's files
  std::vector<std::string> changes, remarks;
};

// Every draft file is written and verified.
inline Exported export_plan(const std::string& format, const Plan& plan,
                            const ExportSettings& settings = {}, const Profile* profile = nullptr,
                            const std::string& name = "out.txt") {
  const TempDir folder;
  const ExportDraft draft = find_export_format(format).draft({.plan = plan,
                                                              .profile = profile,
                                                              .settings = settings,
                                                              .out = folder / name,
                                                              .provenance = Json::object()});
  Exported result{{}, draft.changes, draft.remarks};
  for (const DraftFile& file : draft.files) {
    file.write(file.path);
    file.verify(file.path);
    result.texts.push_back(read_file(file.path));
  }
  return result;
}

inline std::string refusal_of(ErrorKind kind, const std::string& format, const Plan& plan,
                              const ExportSettings& settings = {},
                              const Profile* profile = nullptr) {
  return error_of(kind, [&] { export_plan(format, plan, settings, profile); });
}

}  // namespace sparsescope::testing
