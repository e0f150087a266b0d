// The part of `compare --plan`: how a plan derived from A does on B.
#pragma once

#include <filesystem>

#include "apps/command.h"
#include "stats/profile.h"

namespace sparsescope {

// Prints the table; returns what --json says of it.
Json compare_plan(const CommandContext& context, const Profile& a, const Profile& b,
                  const std::filesystem::path& plan, double confidence);

}  // namespace sparsescope
