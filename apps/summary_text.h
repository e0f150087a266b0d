// The findings of a profile as text: tables for reading; the JSON holds all of it.
#pragma once

#include <cstddef>
#include <string>

#include "summary/profile_summary.h"

namespace sparsescope {

// Lists of heads hold their first `top` ones.
std::string summary_text(const ProfileSummary& summary, size_t top);

}  // namespace sparsescope
