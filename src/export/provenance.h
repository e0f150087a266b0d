// Where an exported file comes from: inside it where the consumer ignores unknown keys, else in
// FILE.provenance.json. Schema: data/schema/export_provenance.schema.json.
#pragma once

#include "export/export_format.h"

namespace sparsescope {

// Of the plan and the consumer, before anything is drafted. profile_hash: empty where none is
// known.
Json make_provenance(const ExportFormat& format, const Plan& plan,
                     const std::filesystem::path& plan_path, const std::string& profile_hash,
                     const std::string& command_line);
// With what the draft says of itself.
Json finish_provenance(Json provenance, const ExportDraft& draft);
// The hash of the profile that the plan's evidence names; empty where it names none.
std::string evidence_profile_hash(const Plan& plan);

}  // namespace sparsescope
