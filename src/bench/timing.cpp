#include "bench/timing.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <thread>

namespace sparsescope {
namespace {

// libgomp's workers spin for 5 to 15 ms before they sleep where OMP_WAIT_POLICY is not set.
constexpr auto kSettleTime = std::chrono::milliseconds(20);
constexpr int64_t kCacheLine = 64;

int64_t cache_bytes(int name) { return std::max(int64_t{0}, int64_t{sysconf(name)}); }

// Writes a buffer twice as large as the caches. Every worker touches a part, because a core's own
// caches are out of the other cores' reach.
class CacheFlusher {
 public:
  explicit CacheFlusher(ThreadPool& pool) : pool_(pool) {
    const int64_t level2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE) * pool.size();
    const int64_t level3 = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
    bytes_.resize(std::max(2 * (level2 + level3), int64_t{64} << 20));
  }

  void flush() {
    const int64_t parts = pool_.size();
    const int64_t part_size = std::ssize(bytes_) / parts;
    pool_.parallel_for(parts, [&](int64_t part, int) {
      for (int64_t i = 0; i < part_size; i += kCacheLine) ++bytes_[part * part_size + i];
    });
  }

 private:
  ThreadPool& pool_;
  std::vector<uint8_t> bytes_;
};

}  // namespace

std::string to_string(TimeSource source) {
  return source == TimeSource::kWall ? "wall" : "processor";
}

std::string to_string(CacheState state) { return state == CacheState::kWarm ? "warm" : "cold"; }

double now_seconds(TimeSource source) {
  timespec time{};
  clock_gettime(source == TimeSource::kWall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void time_interleaved(std::vector<TimedBody>& bodies, const TimingOptions& options,
                      CacheState caches, ThreadPool& pool, const RunMonitor& monitor) {
  std::optional<CacheFlusher> flusher;
  if (caches == CacheState::kCold) flusher.emplace(pool);
  for (int round = 0; round <= options.repeats; ++round) {
    for (TimedBody& timed : bodies) {
      check_stop(monitor);
      if (flusher) flusher->flush();
      const double start = now_seconds(options.source);
      timed.body();
      const double seconds = now_seconds(options.source) - start;
      if (round > 0) timed.seconds.push_back(seconds);
      if (timed.spins_after) std::this_thread::sleep_for(kSettleTime);
    }
    report_progress(
        monitor, round, options.repeats,
        fmt::format("{} caches, round {}/{}", to_string(caches), round, options.repeats));
  }
}

}  // namespace sparsescope
