// The settings of a sparse method that an allocation chooses from.
#pragma once

#include <vector>

#include "plan/plan.h"
#include "stats/profile.h"

namespace sparsescope {

struct Candidate {
  MethodParams params;
  int variant = 0;  // VMoBA's partition, which a layer's heads share; 0 elsewhere
};

// VSA: every K from the least measured one on, thinned out where there are many. BSA: kappa,
// measured values and steps between them, with half of the queries and with all. VMoBA: every
// measured setting; all_heads: settings hold for all heads of a layer, which pools across heads
// need. Error(kData) for a profile without VMoBA partitions.
std::vector<Candidate> make_candidates(const Profile& profile, Method method, bool all_heads);

// The partitions that a profile measured, in the order of its arrays.
std::vector<Partition> measured_partitions(const Profile& profile);

}  // namespace sparsescope
