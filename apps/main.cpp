// sparsescope COMMAND [options]: parses, runs one command, and turns every outcome into an exit
// code. Results go to standard output, messages to standard error; with --json standard output
// holds exactly one object, also for an error: {"error": {"kind", "exit_code", "message"}}.
#include <fmt/ranges.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <new>
#include <string_view>

#include "apps/command.h"
#include "apps/commands.h"
#include "apps/console.h"
#include "core/error.h"
#include "kernels/cuda/cuda_attention.h"

namespace sparsescope {
namespace {

struct Failure {
  std::string kind;
  int exit_code = 1;
  std::string message;
};

Failure failure_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kUsage:
      return {"usage", 2, error.what()};
    case ErrorKind::kData:
      return {"data", 3, error.what()};
    case ErrorKind::kUnsupported:
      return {"unsupported", 4, error.what()};
    case ErrorKind::kNotCompiled:
      return {"not compiled", 4, error.what()};
    case ErrorKind::kResource:
      return {"resource", 5, error.what()};
    case ErrorKind::kInterrupted:
      return {"interrupted", 130, error.what()};
    case ErrorKind::kDevice:
      return {"device", 1, error.what()};
    case ErrorKind::kInternal:
      break;
  }
  return {"internal", 1, error.what()};
}

Failure failure_of(const std::filesystem::filesystem_error& error) {
  const int code = error.code().value();
  if (code == ENOSPC || code == EDQUOT || code == ENOMEM) return {"resource", 5, error.what()};
  return {"data", 3, error.what()};
}

std::string allowed_options(const CLI::App& command) {
  std::string names;
  for (const CLI::Option* option : command.get_options()) {
    names += (names.empty() ? "" : ", ") + option->get_name(option->get_positional());
  }
  return names;
}

std::string allowed_commands(const CLI::App& root) {
  std::string names;
  for (const CLI::App* command : root.get_subcommands({})) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return names;
}

// Where a command belongs; the end where nothing stands there.
const char* const* place_of_command(int argc, char** argv) {
  return std::find_if(argv + 1, argv + argc,
                      [](const char* argument) { return std::strcmp(argument, "--json") != 0; });
}

std::string wrong_command(int argc, char** argv) {
  const char* const* const given = place_of_command(argc, argv);
  if (given == argv + argc) return "expected a command";
  if ((*given)[0] == '-') return fmt::format("expected a command, found the option '{}'", *given);
  return fmt::format("unknown command '{}'", *given);
}

Failure usage_failure(const CLI::App& root, const CLI::ParseError& error, int argc, char** argv) {
  if (root.get_subcommands().empty()) {
    return {"usage", 2,
            fmt::format("{}; commands: {}; see sparsescope --help", wrong_command(argc, argv),
                        allowed_commands(root))};
  }
  const CLI::App* deepest = root.get_subcommands().front();
  std::string name = deepest->get_name();
  while (!deepest->get_subcommands().empty()) {
    deepest = deepest->get_subcommands().front();
    name += " " + deepest->get_name();
  }
  const CLI::App& command = *deepest;
  std::string message = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    message += "; allowed: " + allowed_options(command);
  }
  return {"usage", 2, fmt::format("{}; see sparsescope {} --help", message, name)};
}

int report(const CommandContext& context, const Failure& failure) {
  context.console->end_progress();
  context.console->message(LogLevel::kError, failure.message);
  if (failure.exit_code == 1) {
    context.console->message(
        LogLevel::kError,
        "this is a defect of sparsescope: please report it with the command line");
  }
  if (context.common.json) {
    const Json error = {
        {"kind", failure.kind}, {"exit_code", failure.exit_code}, {"message", failure.message}};
    context.print_json({{"error", error}});
  }
  return failure.exit_code;
}

// Common options that take effect before the command runs.
void apply_common_options(CommandContext& context) {
  const CommonOptions& common = context.common;
  const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::kDebug},
                                                  {"info", LogLevel::kInfo},
                                                  {"warn", LogLevel::kWarn},
                                                  {"error", LogLevel::kError},
                                                  {"off", LogLevel::kOff}};
  context.console->set_level(levels.at(common.log_level));
  context.console->set_progress_enabled(common.progress != "never");
  if (common.device == "auto" || !parse_device(common.device).is_cuda()) return;
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, common.dtype != "fp32",
                    "--device {} --dtype fp32: attention on a GPU computes in 16-bit elements; "
                    "expected --dtype bf16 or --device cpu",
                    common.device);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, !cuda::devices().usable.empty(),
                    "--device {}: {}; use --device cpu or auto", common.device,
                    cuda::devices().reason);
  cuda::use_device(parse_device(common.device).index);
}

int run_command(CLI::App& root, CommandContext& context, int argc, char** argv) {
  try {
    root.parse(argc, argv);
    context.console->end_progress();
    return context.exit_code;
  } catch (const CLI::Success& request) {  // --help, --version: CLI11 prints on standard output
    return root.exit(request);
  } catch (const CLI::ParseError& error) {
    return report(context, usage_failure(root, error, argc, argv));
  } catch (const Error& error) {
    return report(context, failure_of(error));
  } catch (const std::bad_alloc&) {
    return report(context,
                  {"resource", 5, "out of memory; a smaller grid or --max-memory may help"});
  } catch (const std::filesystem::filesystem_error& error) {
    return report(context, failure_of(error));
  } catch (const std::exception& error) {
    return report(context, {"internal", 1, error.what()});
  }
}

// A parse error may come before --json is reached; the form of the answer must not depend on that.
bool asks_for_json(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc,
                     [](const char* argument) { return std::strcmp(argument, "--json") == 0; });
}

// By default the C library hands freed pages back at once, and every layer's tensors fault them in
// anew: a tenth of the time of tiny-wan's layers. Up to 256 MiB stay with the process.
void keep_freed_memory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

// Commands in which LibTorch's operators and our own kernels take turns.
bool runs_a_model(int argc, char** argv) {
  const char* const* const command = place_of_command(argc, argv);
  if (command == argv + argc) return false;
  constexpr std::string_view kModels[] = {"forward", "profile", "validate", "tune", "bench"};
  return std::find(std::begin(kModels), std::end(kModels), *command) != std::end(kModels);
}

// OpenMP's workers, which LibTorch's operators run on, spin after each operator and hold the cores
// that our own pool needs next. The OpenMP library reads its settings when it is loaded, before
// main, so the program starts itself once more with workers that sleep. A setting of the user's
// stands, and where the program cannot be started again it goes on as it is.
void let_workers_sleep(char** argv) {
  if (getenv("OMP_WAIT_POLICY") != nullptr || getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv("/proc/self/exe", argv);
}

}  // namespace
}  // namespace sparsescope

int main(int argc, char** argv) {
  using namespace sparsescope;
  if (runs_a_model(argc, argv)) let_workers_sleep(argv);
  keep_freed_memory();
  CommandContext context;
  context.console = std::make_shared<Console>();
  context.common.json = asks_for_json(argc, argv);
  context.command_line = fmt::format("{}", fmt::join(argv, argv + argc, " "));

  CLI::App root(
      "Profiles the attention of video diffusion transformers and derives sparse-attention plans.",
      "sparsescope");
  root.set_version_flag("--version", "sparsescope " SPARSESCOPE_VERSION);
  root.require_subcommand(1);
  root.footer(
      "Example:\n  sparsescope profile data/tiny-wan --prompts "
      "data/tiny-wan/prompts/calibration.txt "
      "--grid 8,16,16 --steps 8 --out run.h5");
  root.parse_complete_callback([&] { apply_common_options(context); });
  add_all_commands(root, context);
  return run_command(root, context, argc, argv);
}
