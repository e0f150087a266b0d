#include "plan/plan_evidence.h"

namespace sparsescope {

std::vector<std::string> read_texts(const JsonPlace& parent, const char* name) {
  std::vector<std::string> texts;
  if (const std::optional<JsonPlace> place = parent.find(name)) {
    for (const JsonPlace& item : place->items()) texts.push_back(item.text());
  }
  return texts;
}

ProfileEvidence profile_evidence(const Plan& plan) {
  const Json evidence = plan.evidence.is_null() ? Json::object() : plan.evidence;
  return read_profile_evidence(JsonPlace(evidence, "plan", "/evidence"));
}

void write_profile_evidence(Json& evidence, const ProfileEvidence& profile) {
  evidence["prompts"] = profile.prompts;
  if (!profile.prompt_hashes.empty()) evidence["prompt_hashes"] = profile.prompt_hashes;
  if (profile.sampling) evidence["sampling"] = sampling_record_to_json(*profile.sampling);
}

ProfileEvidence read_profile_evidence(const JsonPlace& evidence) {
  ProfileEvidence profile;
  profile.prompts = read_texts(evidence, "prompts");
  profile.prompt_hashes = read_texts(evidence, "prompt_hashes");
  if (const std::optional<JsonPlace> sampling = evidence.find("sampling")) {
    profile.sampling = read_sampling_record(*sampling);
  }
  return profile;
}

}  // namespace sparsescope
