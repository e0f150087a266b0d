#include "derive/plan_evidence.h"

namespace sparsescope {
namespace {

std::vector<std::string> read_texts(const JsonPlace& parent, const char* name) {
  std::vector<std::string> texts;
  if (const std::optional<JsonPlace> place = parent.find(name)) {
    for (const JsonPlace& item : place->items()) texts.push_back(item.text());
  }
  return texts;
}

}  // namespace

ProfileEvidence profile_evidence(const Profile& profile) {
  // The manifest says the same under the same names, beside much else.
  const JsonPlace manifest(profile.manifest, "profile: manifest");
  Json sampling = sampling_record_to_json({});
  bool sampled = true;
  for (const auto& item : sampling.items()) {
    const std::optional<JsonPlace> setting = manifest.find(item.key());
    sampled = sampled && setting;
    if (setting) item.value() = setting->value();
  }
  ProfileEvidence evidence;
  evidence.prompts = read_texts(manifest, "prompts");
  evidence.prompt_hashes = read_texts(manifest, "prompt_hashes");
  if (sampled) evidence.sampling = read_sampling_record(JsonPlace(sampling, manifest.what()));
  return evidence;
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
