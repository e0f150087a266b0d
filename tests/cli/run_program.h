// Runs the program as a user does: arguments in; exit code, standard output and standard error out.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace sparsescope::testing {

struct ProgramRun {
  int exit_code = -1;  // 128 + signal where a signal ended it
  std::string out;
  std::string err;
};

// Standard output goes to the file out where one is named, and is then not captured.
ProgramRun run_program(const std::vector<std::string>& arguments,
                       const std::filesystem::path& out = {});

// A run in the background, to be stopped in the middle.
class RunningProgram {
 public:
  explicit RunningProgram(const std::vector<std::string>& arguments,
                          const std::filesystem::path& out = {});
  ~RunningProgram();  // kills what still runs
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void send(int signal_number) const;
  bool ended();       // does not wait
  ProgramRun wait();  // waits for the end

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  std::filesystem::path folder_;  // of the captured output
  bool captures_out_ = true;
};

}  // namespace sparsescope::testing
