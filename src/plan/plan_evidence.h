// What a plan's evidence says of the profile behind it: the prompts that it has seen, and how it
// was sampled. A plan is to be judged on other prompts, sampled alike.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "plan/sampling_record.h"

namespace sparsescope {

struct ProfileEvidence {
  std::vector<std::string> prompts;        // texts, or "embedding 0", ...; none with captures
  std::vector<std::string> prompt_hashes;  // SHA-256 of each embedding; none in older profiles
  std::optional<SamplingRecord> sampling;  // none where q, k and v were captured
};

// From the plan's evidence. Error(kData) where what stands there does not fit.
ProfileEvidence profile_evidence(const Plan& plan);

// Writes into, and reads from, the object "evidence" of a plan file.
void write_profile_evidence(Json& evidence, const ProfileEvidence& profile);
ProfileEvidence read_profile_evidence(const JsonPlace& evidence);

// A list of texts; empty where there is none of this name. Error(kData).
std::vector<std::string> read_texts(const JsonPlace& parent, const char* name);

}  // namespace sparsescope
