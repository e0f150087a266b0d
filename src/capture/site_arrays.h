// Raw sums of a call as the named arrays of the profile.
#pragma once

#include <span>
#include <vector>

#include "capture/call_layout.h"
#include "capture/reducers/head_sums.h"
#include "capture/site_statistics.h"

namespace sparsescope {

std::vector<StatArray> make_site_arrays(std::span<const HeadSums> heads, const CallLayout& layout);

}  // namespace sparsescope
