#include "export/provenance.h"

#include "core/sha256.h"

namespace sparsescope {

Json make_provenance(const ExportFormat& format, const Plan& plan,
                     const std::filesystem::path& plan_path, const std::string& profile_hash,
                     const std::string& command_line) {
  return {{"format", "sparsescope-export"},
          {"version", 1},
          {"exported_as", format.name},
          {"consumer", format.consumer},
          {"facts", format.facts},
          {"plan", {{"file", plan_path.filename().string()}, {"sha256", sha256_file(plan_path)}}},
          {"profile_sha256", profile_hash},
          {"checkpoint_hash", plan.model.checkpoint_hash},
          {"grid", {plan.grid.t, plan.grid.h, plan.grid.w}},
          {"steps", plan.num_steps},
          {"command_line", command_line}};
}

Json finish_provenance(Json provenance, const ExportDraft& draft) {
  provenance["changes"] = draft.changes;
  provenance["remarks"] = draft.remarks;
  return provenance;
}

std::string evidence_profile_hash(const Plan& plan) {
  const Json::json_pointer place("/profile/sha256");
  if (!plan.evidence.is_object() || !plan.evidence.contains(place)) return "";
  const Json& hash = plan.evidence.at(place);
  return hash.is_string() ? hash.get<std::string>() : "";
}

}  // namespace sparsescope
