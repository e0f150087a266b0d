// The list of the program's commands, written by CMake from the cmd_<name>.cpp files.
#pragma once

#include "apps/command.h"

namespace sparsescope {

void add_all_commands(CLI::App& root, CommandContext& context);

}  // namespace sparsescope
