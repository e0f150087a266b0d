// What is wrong with what a profile kept whole, in words: places that the profile does not have,
// shapes that do not fit each other, values that are no numbers. One array is read at a time.
#pragma once

#include <string>
#include <vector>

#include "stats/profile.h"

namespace sparsescope {

std::vector<std::string> check_kept(const Profile& profile);

}  // namespace sparsescope
