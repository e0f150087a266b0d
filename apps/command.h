// What the commands share: options that every one of them takes, output on the right stream, and
// the bar. A cmd_<name>.cpp parses, calls the library, prints; it computes nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/json_io.h"
#include "core/parse_numbers.h"
#include "core/progress.h"

namespace sparsescope {

class Console;

struct CommonOptions {
  std::string device = "auto";
  int threads = 0;  // 0: all cores
  uint64_t seed = 0;
  std::string dtype;  // empty: the command's default
  std::string progress = "auto";
  bool json = false;
  std::string log_level = "info";
};

class CommandContext {
 public:
  CommonOptions common;
  std::string command_line;  // as typed, for the files that record it
  int exit_code = 0;         // 6 where a result misses what was asked of it; errors are exceptions
  std::shared_ptr<Console> console;

  int threads() const;
  // Of --device; auto is a GPU where LibTorch and our kernels can use one, unless --dtype is fp32:
  // attention on a GPU computes in 16-bit elements.
  Device device() const;
  Dtype compute_dtype() const;   // of --dtype; where it is not given bf16 on a GPU, else fp32
  void prefer_full_precision();  // --dtype fp32, unless it or --device says otherwise
  RunMonitor monitor();          // bar or plain lines on standard error; Ctrl-C
  void print(const std::string& text) const;  // standard output, silent with --json
  void print_json(const Json& json) const;    // standard output, only with --json
  void warn(const std::string& text) const;   // standard error, by --log-level
};

// Adds a subcommand with the common options; the example ends its --help.
CLI::App* add_command(CLI::App& root, CommandContext& context, const std::string& name,
                      const std::string& description, const std::string& example);

void add_inspect_command(CLI::App& root, CommandContext& context);
void add_check_command(CLI::App& root, CommandContext& context);
void add_forward_command(CLI::App& root, CommandContext& context);
void add_attend_command(CLI::App& root, CommandContext& context);
void add_profile_command(CLI::App& root, CommandContext& context);
void add_derive_command(CLI::App& root, CommandContext& context);
void add_validate_command(CLI::App& root, CommandContext& context);
void add_merge_command(CLI::App& root, CommandContext& context);
void add_compare_command(CLI::App& root, CommandContext& context);
void add_summary_command(CLI::App& root, CommandContext& context);
void add_export_command(CLI::App& root, CommandContext& context);
void add_tune_command(CLI::App& root, CommandContext& context);
void add_render_command(CLI::App& root, CommandContext& context);
void add_report_command(CLI::App& root, CommandContext& context);
void add_notebook_command(CLI::App& root, CommandContext& context);
void add_bench_command(CLI::App& root, CommandContext& context);

}  // namespace sparsescope
