// All findings of a profile: what it says of the model's attention, and which of them it cannot
// tell. Never needs the model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stats/profile.h"
#include "summary/class_table.h"
#include "summary/key_facts.h"
#include "summary/partition_ranking.h"
#include "summary/query_premise.h"
#include "summary/recall_errors.h"
#include "summary/score_premise.h"
#include "summary/set_stability.h"
#include "summary/summary_options.h"

namespace sparsescope {

struct MissingFinding {
  std::string finding;  // by its name in the JSON: "head_classes"
  std::string reason;   // what the profile lacks, and how to record it
};

struct ProfileSummary {
  SummaryOptions options;
  std::optional<KeyFacts> key_facts;
  std::optional<ClassTable> head_classes;
  std::optional<SetStability> key_sets, map_sets;
  std::optional<ScorePremise> score_premise;
  std::optional<QueryPremise> query_premise;
  std::optional<RecallErrors> recall_errors;
  std::vector<PartitionRanking> partitions;
  std::vector<MissingFinding> missing;
};

// Error(kUsage) for a budget or a confidence that is not between 0 and 1; Error(kData) where no
// site was recorded.
ProfileSummary summarize_profile(const Profile& profile, const SummaryOptions& options);

}  // namespace sparsescope
