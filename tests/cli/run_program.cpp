#include "cli/run_program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "support/temp_dir.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;

fs::path make_folder() {
  std::string pattern = (fs::temp_directory_path() / "sparsescope-run-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  return pattern;
}

void redirect(int descriptor, const fs::path& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(127);
}

}  // namespace

RunningProgram::RunningProgram(const std::vector<std::string>& arguments, const fs::path& out)
    : folder_(make_folder()), captures_out_(out.empty()) {
  std::vector<char*> argv{const_cast<char*>(SPARSESCOPE_PROGRAM)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    redirect(STDOUT_FILENO, captures_out_ ? folder_ / "out" : out);
    redirect(STDERR_FILENO, folder_ / "err");
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
}

RunningProgram::~RunningProgram() {
  if (!reaped_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void RunningProgram::send(int signal_number) const { ::kill(pid_, signal_number); }

bool RunningProgram::ended() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

ProgramRun RunningProgram::wait() {
  if (!reaped_) ::waitpid(pid_, &status_, 0);
  reaped_ = true;
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_),
          captures_out_ ? read_file(folder_ / "out") : "", read_file(folder_ / "err")};
}

ProgramRun run_program(const std::vector<std::string>& arguments, const fs::path& out) {
  return RunningProgram(arguments, out).wait();
}

}  // namespace sparsescope::testing
