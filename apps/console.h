// The program's side of standard error: messages by level, and progress as a bar on a terminal or
// as occasional plain lines elsewhere. Thread safe; a message never tears the bar.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace sparsescope {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

struct ProgressState {
  int64_t done = 0;
  int64_t total = 0;
  std::string what;               // may be empty
  double remaining_seconds = -1;  // negative: not known yet
};

// "3:07" or "1:02:45"
std::string format_duration(double seconds);
// One line of at most width columns: bar, percent, what, time left.
std::string format_bar(const ProgressState& state, int width);
std::string format_plain(const ProgressState& state);

// Time left from the speed since the first report; a new total or a step back starts afresh, so
// that units that an earlier run finished do not count as speed.
class RemainingTime {
 public:
  double update(int64_t done, int64_t total, double now_seconds);

 private:
  int64_t first_done_ = 0, last_done_ = 0, total_ = -1;
  double first_seconds_ = 0;
};

class Console {
 public:
  Console();
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void set_level(LogLevel level);
  void set_progress_enabled(bool enabled);

  void message(LogLevel level, const std::string& text);
  void progress(int64_t done, int64_t total, const std::string& what);
  void end_progress();  // leaves the bar as it stands and starts a new line

 private:
  void erase_bar();
  void draw_bar();
  double now_seconds() const;

  std::mutex mutex_;
  LogLevel level_ = LogLevel::kInfo;
  bool progress_enabled_ = true;
  bool terminal_ = false;
  bool bar_visible_ = false;
  ProgressState state_;
  RemainingTime remaining_;
  double last_line_seconds_ = -1;  // of the plain lines; negative: none yet
  std::chrono::steady_clock::time_point start_;
};

}  // namespace sparsescope
