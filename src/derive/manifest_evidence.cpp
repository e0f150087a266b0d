#include "derive/manifest_evidence.h"

namespace sparsescope {

ProfileEvidence profile_evidence(const Profile& profile) {
  // The manifest says the same under the same names, beside much else.
  const JsonPlace manifest(profile.manifest, "profile: manifest");
  Json sampling = sampling_record_to_json({});  // what every sampled profile says
  bool sampled = true;
  for (const auto& item : sampling.items()) {
    const std::optional<JsonPlace> setting = manifest.find(item.key());
    sampled = sampled && setting;
    if (setting) item.value() = setting->value();
  }
  if (const auto second = manifest.find("guidance_2")) sampling["guidance_2"] = second->value();
  ProfileEvidence evidence;
  evidence.prompts = read_texts(manifest, "prompts");
  evidence.prompt_hashes = read_texts(manifest, "prompt_hashes");
  if (sampled) evidence.sampling = read_sampling_record(JsonPlace(sampling, manifest.what()));
  return evidence;
}

}  // namespace sparsescope
