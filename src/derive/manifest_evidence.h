// What a plan's evidence takes over from the manifest of the profile behind it.
#pragma once

#include "plan/plan_evidence.h"
#include "stats/profile.h"

namespace sparsescope {

ProfileEvidence profile_evidence(const Profile& profile);

}  // namespace sparsescope
