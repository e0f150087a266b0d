#include "summary/profile_summary.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"

namespace sparsescope {
namespace {

using Names = std::vector<std::string>;

class Summarizer {
 public:
  Summarizer(const Profile& profile, const SummaryOptions& options) : profile_(profile) {
    summary_.options = options;
  }

  ProfileSummary run() {
    ProfileSummary& s = summary_;
    const Profile& p = profile_;
    const SummaryOptions& options = s.options;
    if (holds("key_facts",
              {"entropy", "row_overlap", "key_mass", "coverage_row", "coverage_tile",
               "coverage_pooled"},
              kOfEffectsOnly)) {
      s.key_facts = find_key_facts(p, options);
    }
    if (holds("head_classes", {"offset_mass", "key_mass"},
              "recorded by profiles of newer versions")) {
      s.head_classes = find_classes(p, options);
    }
    if (holds("set_stability", {"key_mass"}, kOfEffectsOnly)) {
      s.key_sets = find_set_stability(p, SetSource::kKeyMass, options);
    }
    if (p.maps.empty()) {
      miss("map_stability", "the profile holds no maps: record some by profile --maps");
    } else {
      s.map_sets = find_set_stability(p, SetSource::kMaps, options);
    }
    if (holds("score_premise", {"score_moments", "bsa_density"}, kOfEffectsOnly)) {
      s.score_premise = find_score_premise(p, options);
    }
    if (holds("query_premise", {"query_cosine", "row_overlap"}, kOfEffectsOnly)) {
      s.query_premise = find_query_premise(p, options);
      if (!p.arrays.contains("window_cosine")) {
        miss("query_premise.windows",
             "the profile lacks window_cosine: recorded by profiles of newer versions");
      }
    }
    if (holds_any("/error_topk") || p.arrays.contains("error_pooled")) {
      s.recall_errors = find_recall_errors(p, options);
    } else {
      miss("recall_errors", "the profile holds no errors: record them by profile --error-tiles");
    }
    if (holds_any("/recall_topk")) {
      s.partitions = find_partition_rankings(p, options);
    } else {
      miss("partitions", "the profile measured no partition: name some by profile --partitions");
    }
    return std::move(summary_);
  }

 private:
  static constexpr const char* kOfEffectsOnly = "profile --effects-only leaves them out";

  void miss(const std::string& finding, const std::string& reason) {
    summary_.missing.push_back({finding, reason});
  }

  bool holds(const std::string& finding, Names names, const std::string& hint) {
    std::erase_if(names, [&](const std::string& name) { return profile_.arrays.contains(name); });
    if (names.empty()) return true;
    miss(finding, fmt::format("the profile lacks {}: {}", fmt::join(names, ", "), hint));
    return false;
  }

  bool holds_any(std::string_view ending) const {
    return std::any_of(profile_.arrays.begin(), profile_.arrays.end(),
                       [&](const auto& entry) { return entry.first.ends_with(ending); });
  }

  const Profile& profile_;
  ProfileSummary summary_;
};

}  // namespace

ProfileSummary summarize_profile(const Profile& profile, const SummaryOptions& options) {
  for (const auto& [name, value] :
       {std::pair{"--budget", options.budget}, {"--confidence", options.confidence}}) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, value > 0 && value < 1,
                      "{}: expected a number between 0 and 1, found {}", name, value);
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !recorded_prompts(profile).empty(),
                    "profile: expected recorded sites, found none");
  return Summarizer(profile, options).run();
}

}  // namespace sparsescope
