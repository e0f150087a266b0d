// Findings as JSON, in full: data/schema/summary.schema.json. What is not known is null.
#pragma once

#include "core/json_io.h"
#include "summary/profile_summary.h"

namespace sparsescope {

// {"mean", "low", "high", "prompts"}: low and high bound the mean over prompts.
Json to_json(const Measured& measured);
Json to_json(const KeyFacts& facts);
Json to_json(const ClassTable& table);
Json to_json(const SetStability& stability);
Json to_json(const ScorePremise& premise);
Json to_json(const QueryPremise& premise);
Json to_json(const RecallErrors& errors);
Json to_json(const PartitionRanking& ranking);

// The whole document; the profile is named by its file and described.
Json summary_to_json(const ProfileSummary& summary, const Profile& profile,
                     const std::string& file);

}  // namespace sparsescope
