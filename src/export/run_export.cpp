#include "export/run_export.h"

#include <fmt/ranges.h>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"
#include "export/draft_file.h"
#include "export/expert_plans.h"
#include "export/provenance.h"
#include "model/experts.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

void check_profile_of_plan(const Profile& profile, const std::string& hash, const Plan& plan,
                           const fs::path& path) {
  const std::string expected = evidence_profile_hash(plan);
  SPARSESCOPE_CHECK(ErrorKind::kData, expected.empty() || hash == expected,
                    "{}: expected the profile that the plan was derived from (SHA-256 {}), found "
                    "{}",
                    path.string(), expected, hash);
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    profile.grid == plan.grid && profile.steps == plan.num_steps &&
                        profile.layers == plan.model.layers && profile.heads == plan.model.heads,
                    "{}: expected the plan's grid {}, {} steps, {} layers and {} heads, found {}, "
                    "{}, {} and {}",
                    path.string(), to_string(plan.grid), plan.num_steps, plan.model.layers,
                    plan.model.heads, to_string(profile.grid), profile.steps, profile.layers,
                    profile.heads);
}

// Hashes of the published files stand in it, so it comes last.
DraftFile provenance_file(const ExportInput& input, const ExportDraft& draft) {
  const fs::path path = input.out.string() + ".provenance.json";
  std::vector<fs::path> files;
  for (const DraftFile& file : draft.files) files.push_back(file.path);
  const Json base = finish_provenance(input.provenance, draft);
  return {path,
          [base, files](const fs::path& temporary) {
            Json json = base;
            json["files"] = Json::array();
            for (const fs::path& file : files) {
              json["files"].push_back(
                  {{"file", file.filename().string()}, {"sha256", sha256_file(file)}});
            }
            json_file(temporary, json, {}).write(temporary);
          },
          [](const fs::path& temporary) { read_json_file(temporary); }};
}

// One draft of both experts' files.
ExportDraft draft_each_expert(const ExportFormat& format, const ExportInput& input) {
  ExportDraft draft;
  for (const int64_t expert : {kHighNoise, kLowNoise}) {
    const Plan plan = plan_of_expert(input.plan, expert);
    ExportSettings settings = input.settings;
    if (!settings.thresholds.empty()) {
      settings.thresholds = path_of_expert(settings.thresholds, expert);
    }
    const ExportDraft own = format.draft({.plan = plan,
                                          .profile = input.profile,
                                          .settings = settings,
                                          .out = path_of_expert(input.out, expert),
                                          .provenance = input.provenance});
    const auto named = [&](const std::string& text) {
      return fmt::format("{}: {}", name_of_expert(expert), text);
    };
    draft.files.insert(draft.files.end(), own.files.begin(), own.files.end());
    for (const std::string& change : own.changes) draft.changes.push_back(named(change));
    for (const std::string& remark : own.remarks) draft.remarks.push_back(named(remark));
  }
  return draft;
}

void publish(const DraftFile& file, bool replace) {
  write_atomically(file.path, replace, [&](const fs::path& temporary) {
    file.write(temporary);
    file.verify(temporary);
  });
}

}  // namespace

ExportResult run_export(const ExportRequest& request) {
  const ExportFormat& format = find_export_format(request.format);
  check_writable_output(request.out, request.replace);
  const Plan plan = read_plan(request.plan);
  Profile profile;
  std::string profile_hash = evidence_profile_hash(plan);
  if (!request.profile.empty()) {
    profile = read_profile(request.profile);
    const std::string hash = sha256_file(request.profile);
    check_profile_of_plan(profile, hash, plan, request.profile);
    profile_hash = hash;
  }
  const ExportInput input{.plan = plan,
                          .profile = request.profile.empty() ? nullptr : &profile,
                          .settings = request.settings,
                          .out = request.out,
                          .provenance = make_provenance(format, plan, request.plan, profile_hash,
                                                        request.command_line)};
  ExportDraft draft = format.per_transformer && runs_two_experts(plan)
                          ? draft_each_expert(format, input)
                          : format.draft(input);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.project || draft.changes.empty(),
                    "{}: cannot hold the plan: {}. --project writes the nearest plan that it can "
                    "hold",
                    format.name, fmt::join(draft.changes, "; "));
  if (!draft.provenance_inside) draft.files.push_back(provenance_file(input, draft));

  ExportResult result{&format, {}, draft.changes, draft.remarks};
  for (const DraftFile& file : draft.files) {
    check_writable_output(file.path, request.replace);
    result.files.push_back(file.path);
  }
  for (const DraftFile& file : draft.files) publish(file, request.replace);
  return result;
}

}  // namespace sparsescope
