#include "apps/python_side.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/error.h"

namespace sparsescope {
namespace {

// No exit code of the contract: the interpreter has no package of this name.
constexpr int kNoPackage = 97;
constexpr int kNoInterpreter = 127;
const char* const kStart =
    "import sys, importlib.util as u\n"
    "if u.find_spec('sparsescope') is None: sys.exit(97)\n"
    "from sparsescope.command_line import main\n"
    "sys.exit(main(sys.argv[1:]))\n";

std::filesystem::path own_program() { return std::filesystem::read_symlink("/proc/self/exe"); }

// While the child runs, Ctrl-C is its business: it ends with 130 and cleans up.
class IgnoreInterrupts {
 public:
  IgnoreInterrupts() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &ignore, &before_);
  }
  ~IgnoreInterrupts() { sigaction(SIGINT, &before_, nullptr); }
  IgnoreInterrupts(const IgnoreInterrupts&) = delete;
  IgnoreInterrupts& operator=(const IgnoreInterrupts&) = delete;

 private:
  struct sigaction before_ {};
};

// An ignored signal stays ignored in a child: it is told to take the default.
class ChildSignals {
 public:
  ChildSignals() {
    posix_spawnattr_init(&attributes_);
    sigset_t interrupts;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    posix_spawnattr_setsigdefault(&attributes_, &interrupts);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
  }
  ~ChildSignals() { posix_spawnattr_destroy(&attributes_); }
  ChildSignals(const ChildSignals&) = delete;
  ChildSignals& operator=(const ChildSignals&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail(ErrorKind::kInternal, "waitpid: {}", std::strerror(errno));
  }
  return status;
}

std::string how_to_install(const std::string& python) {
  return fmt::format(
      "figures, reports and notebooks are drawn by the Python package sparsescope, which {} does "
      "not "
      "have: run scripts/setup.sh, or pip install the project's folder (its pyproject.toml); "
      "another "
      "interpreter is named by SPARSESCOPE_PYTHON",
      python);
}

}  // namespace

void add_drawing_options(CLI::App& command, DrawingOptions& options, bool profile_required,
                         const std::string& out_help) {
  command.add_option("RUN", options.profile, "A profile (HDF5)")->required(profile_required);
  command.add_option("--plan", options.plans, "Plans of the profile")->allow_extra_args(false);
  command.add_option("--validation", options.validations, "Reports of validate")
      ->allow_extra_args(false);
  command.add_option("--videos", options.videos, "What validate --videos wrote");
  command.add_option("--sweep", options.sweep, "A table of tune --sweep");
  command.add_option("--costs", options.costs, "Kernel costs of bench costs");
  command.add_option("--bench", options.benches, "Results of bench attention")
      ->allow_extra_args(false);
  command.add_option("--other", options.others, "Other profiles to hold against this one")
      ->allow_extra_args(false);
  command.add_option("--out", options.out, out_help);
  command.add_flag("--force", options.force, "Replace existing output files");
}

std::vector<std::string> drawing_arguments(const DrawingOptions& options) {
  std::vector<std::string> arguments;
  if (!options.profile.empty()) arguments.push_back(options.profile);
  // One word, so that a value which begins with a dash stays a value.
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) arguments.push_back(fmt::format("{}={}", name, value));
  };
  for (const auto& plan : options.plans) add("--plan", plan);
  for (const auto& validation : options.validations) add("--validation", validation);
  for (const auto& bench : options.benches) add("--bench", bench);
  for (const auto& other : options.others) add("--other", other);
  add("--videos", options.videos);
  add("--sweep", options.sweep);
  add("--costs", options.costs);
  add("--out", options.out);
  if (options.force) arguments.emplace_back("--force");
  return arguments;
}

std::string find_python() {
  if (const char* chosen = std::getenv("SPARSESCOPE_PYTHON"); chosen != nullptr) return chosen;
  for (std::filesystem::path folder = own_program().parent_path(); folder.has_relative_path();
       folder = folder.parent_path()) {
    const std::filesystem::path python = folder / ".venv/bin/python";
    if (std::filesystem::exists(python)) return python.string();
  }
  return "python3";
}

void run_python_side(CommandContext& context, const std::string& command,
                     std::vector<std::string> arguments) {
  const std::string python = find_python();
  std::vector<std::string> words = {python, "-c", kStart, command};
  words.insert(words.end(), arguments.begin(), arguments.end());
  if (context.common.json) words.emplace_back("--json");
  const std::string& level = context.common.log_level;
  if (context.common.progress == "never" || (level != "debug" && level != "info")) {
    words.emplace_back("--quiet");
  }
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  // What the package asks the program for, like the findings of summary, it gets from this one.
  setenv("SPARSESCOPE_PROGRAM", own_program().c_str(), 1);

  const IgnoreInterrupts guard;
  const ChildSignals signals;
  pid_t child = 0;
  const int failure =
      posix_spawnp(&child, python.c_str(), nullptr, signals.get(), pointers.data(), environ);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, failure == 0, "no Python interpreter {} ({}): {}",
                    python, std::strerror(failure), how_to_install("this machine"));
  const int status = wait_for(child);
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    if (number == SIGINT) fail(ErrorKind::kInterrupted, "interrupted");
    fail(ErrorKind::kResource, "{} was ended by signal {} ({}); memory may have run out", python,
         number, strsignal(number));
  }
  const int exit_code = WEXITSTATUS(status);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, exit_code != kNoPackage && exit_code != kNoInterpreter,
                    "{}", how_to_install(python));
  context.exit_code = exit_code;
}

}  // namespace sparsescope
