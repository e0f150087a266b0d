// What makes a run slower or faster without being on its command line, for reports of timings.
#pragma once

#include <map>
#include <string>

#include "core/json_io.h"

namespace sparsescope {

std::map<std::string, std::string> timing_environment();
// Of the kernels in use, with its measured peaks: half a second.
Json timing_machine();

}  // namespace sparsescope
