// The Python package that draws: found, started with the program's options and streams, and its
// exit code handed back. See python/sparsescope/command_line.py.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "apps/command.h"

namespace sparsescope {

// The files that render, report and notebook draw from, and where to.
struct DrawingOptions {
  std::string profile, out, sweep, costs, videos;
  std::vector<std::string> plans, validations, benches, others;
  bool force = false;
};

// profile_required: false where a command has a form that needs no profile (render --list).
void add_drawing_options(CLI::App& command, DrawingOptions& options, bool profile_required,
                         const std::string& out_help);
std::vector<std::string> drawing_arguments(const DrawingOptions& options);

// The interpreter: $SPARSESCOPE_PYTHON, or .venv/bin/python of the closest folder above the program
// that has one, or python3 on the PATH.
std::string find_python();

// Runs `python -m sparsescope COMMAND ARGUMENTS` and sets context.exit_code to what it returns; it
// has printed its results and its errors itself. Error(kUnsupported) where there is no Python or it
// has no sparsescope, with what to install; Error(kResource) where it was killed.
void run_python_side(CommandContext& context, const std::string& command,
                     std::vector<std::string> arguments);

}  // namespace sparsescope
