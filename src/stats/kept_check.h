// What is wrong with what a profile kept whole, in words: places that the profile does not have,
// shapes that do not fit each other, values that are no numbers. One array is read at a time.
#pragma once

#include <string>
#include <vector>

#include "stats/profile.h"

namespace sparsescope {

std::vector<std::string> check_kept(const Profile& profile);

// "value 3 is inf"; empty where every value is a number.
std::string first_not_finite(const std::vector<float>& values);

}  // namespace sparsescope
