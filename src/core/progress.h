// How long-running library calls tell their caller where they are, and how they are asked to stop.
// Library code never prints; apps/ draws the bar.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace sparsescope {

struct RunMonitor {
  // done of total units, and what the last one was ("prompt 2/4 step 7/20"); may be empty.
  std::function<void(int64_t done, int64_t total, const std::string& what)> progress;
  // A remark for the user (a warning of the checkpoint, a resumed part); may be empty.
  std::function<void(const std::string& message)> note;
  // True where the user asked to stop: the call finishes its unit and throws Error(kInterrupted).
  std::function<bool()> stop_requested;
};

void report_progress(const RunMonitor& monitor, int64_t done, int64_t total, const std::string& what);
void report_note(const RunMonitor& monitor, const std::string& message);
void check_stop(const RunMonitor& monitor);  // throws Error(kInterrupted)

}  // namespace sparsescope
