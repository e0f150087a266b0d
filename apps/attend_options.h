// The options of attend: as typed, and as the request that the library runs.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "kernels/impl.h"
#include "sparse/attend.h"

namespace sparsescope {

struct AttendArguments {
  std::filesystem::path inputs, out, load_plan, save_plan, draw;
  std::string grid, method, backend = "auto";
  int64_t prefix = 0, suffix = 0;
  OptionTexts method_options;
  bool backward = false, deterministic = false, force = false;
};

void add_attend_options(CLI::App& command, AttendArguments& arguments);

// Error(kUsage) for settings that contradict each other; not for use with --plan.
AttendRequest attend_request(const AttendArguments& arguments);

// Error(kUsage) where --grid, --method, --prefix or --suffix contradict the plan, or a setting of
// the selection is given beside it.
void check_plan_arguments(const AttendArguments& arguments, const BlockPlan& plan);

// device: of --device, which auto follows. Error(kUnsupported) or Error(kNotCompiled) where a GPU is
// asked for and there is none.
Impl backend_impl(const std::string& backend, const std::string& device);

}  // namespace sparsescope
