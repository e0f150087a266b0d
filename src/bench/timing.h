// How a benchmark takes its times: all bodies in turn, round after round, so that a change of clock
// rate or a busy neighbour meets all of them; one round first that does not count.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/thread_pool.h"

namespace sparsescope {

// kProcessor: of all threads of this process together; for machines that are busy with other work.
enum class TimeSource { kWall, kProcessor };
// kWarm: whatever the body before left behind. kCold: everything was evicted.
enum class CacheState { kWarm, kCold };

std::string to_string(TimeSource source);  // "wall", "processor"
std::string to_string(CacheState state);   // "warm", "cold"

double now_seconds(TimeSource source);

struct TimingOptions {
  TimeSource source = TimeSource::kWall;
  int repeats = 15;
};

struct TimedBody {
  std::string name;
  std::function<void()> body;
  bool spins_after = false;  // an OpenMP pool waits for more work on the cores for a while
  std::vector<double> seconds = {};
};

// Appends one time a repeat to every body. Error(kInterrupted) where the monitor asks to stop.
void time_interleaved(std::vector<TimedBody>& bodies, const TimingOptions& options,
                      CacheState caches, ThreadPool& pool, const RunMonitor& monitor);

}  // namespace sparsescope
