#include "core/progress.h"

#include "core/error.h"

namespace sparsescope {

void report_progress(const RunMonitor& monitor, int64_t done, int64_t total, const std::string& what) {
  if (monitor.progress) monitor.progress(done, total, what);
}

void report_note(const RunMonitor& monitor, const std::string& message) {
  if (monitor.note) monitor.note(message);
}

void check_stop(const RunMonitor& monitor) {
  SPARSESCOPE_CHECK(ErrorKind::kInterrupted, !monitor.stop_requested || !monitor.stop_requested(),
                    "interrupted; what was finished is kept");
}

}  // namespace sparsescope
