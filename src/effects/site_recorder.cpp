#include "effects/site_recorder.h"

#include <chrono>
#include <iterator>
#include <utility>

#include "capture/host_call.h"
#include "core/error.h"
#include "core/rng.h"
#include "effects/effect_arrays.h"

namespace sparsescope {
namespace {

// Keeps the sample apart from other users of the same seed.
constexpr uint64_t kErrorTilesKey = 0x6572726f72ull;  // "error"

}  // namespace

std::vector<int32_t> error_tiles_of(const SiteKey& site, int64_t num_tiles, int64_t count,
                                    uint64_t seed) {
  uint64_t key = combine_key(seed, kErrorTilesKey);
  for (const int64_t part :
       {site.prompt, static_cast<int64_t>(site.branch), site.step, site.layer}) {
    key = combine_key(key, static_cast<uint64_t>(part));
  }
  return sample_tiles(num_tiles, count, key);
}

SiteRecorder::SiteRecorder(ProfilingOptions options, int64_t error_tiles, Impl impl,
                           ThreadPool& pool)
    : options_(options),
      error_tiles_(error_tiles),
      profiling_(options, impl, pool),
      effects_(options.tile, options.partitions, impl, pool) {}

void SiteRecorder::attend(const AttentionCall& call) {
  profiling_.attend(call);
  if (options_.record && !options_.record(call.site)) return;
  std::vector<StatArray>& errors = errors_.emplace_back();
  if (error_tiles_ == 0) return;
  const auto start = std::chrono::steady_clock::now();
  const int64_t num_tiles = TileGrid(call.grid, options_.tile).num_tiles();
  const EffectRows rows{error_tiles_of(call.site, num_tiles, error_tiles_, options_.seed), {}};
  errors = error_arrays(effects_.measure(HostCall(call).call(), rows, {}), options_.partitions);
  error_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<SiteStatistics> SiteRecorder::take() {
  std::vector<SiteStatistics> sites = profiling_.take();
  SPARSESCOPE_ASSERT(sites.size() == errors_.size());
  for (size_t i = 0; i < sites.size(); ++i) {
    std::move(errors_[i].begin(), errors_[i].end(), std::back_inserter(sites[i].arrays));
  }
  errors_.clear();
  return sites;
}

}  // namespace sparsescope
