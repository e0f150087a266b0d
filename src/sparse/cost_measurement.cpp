#include "sparse/cost_measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "core/distribution.h"
#include "core/dtype.h"
#include "plan/bsa_window.h"
#include "sparse/sparse_executor.h"

namespace sparsescope {
namespace {

constexpr std::array<double, 5> kShares{1.0 / 16, 1.0 / 8, 1.0 / 4, 1.0 / 2, 3.0 / 4};
constexpr std::array<double, 4> kThresholds{0.25, 0.5, 0.75, 0.9};
constexpr double kMsPerSecond = 1e3;

std::vector<int64_t> counts_of(int64_t total) {
  std::vector<int64_t> counts;
  for (const double share : kShares) {
    counts.push_back(std::max<int64_t>(1, std::llround(share * static_cast<double>(total))));
  }
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

void add_vsa(int64_t num_tiles, std::vector<MethodParams>& settings) {
  for (const int64_t top_k : counts_of(num_tiles)) {
    settings.emplace_back(VsaParams{.top_k = top_k});
  }
}

void add_bsa(const TileShape& tile, std::vector<MethodParams>& settings) {
  BsaParams params{.window = default_bsa_window(tile), .min_blocks = 1};
  for (const double query_keep : {0.5, 1.0}) {
    for (const double kv_keep : kShares) {
      params.query_keep = query_keep;
      params.kv_keep = kv_keep;
      settings.emplace_back(params);
    }
  }
}

void add_vmoba(const Partition& partition, const TokenGrid& grid, bool all_pools,
               std::vector<MethodParams>& settings) {
  VmobaParams params{.partition = partition};
  for (const int64_t top_k : counts_of(partition_blocks(partition, grid).num_tiles())) {
    params.top_k = top_k;
    settings.emplace_back(params);
  }
  params.select = VmobaSelect::kThreshold;
  std::vector<VmobaPool> pools{VmobaPool::kQueryHead, VmobaPool::kHeadGlobal};
  if (all_pools) pools.insert(pools.end(), {VmobaPool::kBlock, VmobaPool::kOverall});
  for (const VmobaPool vmoba_pool : pools) {
    params.pool = vmoba_pool;
    for (const double threshold : kThresholds) {
      params.threshold = threshold;
      settings.emplace_back(params);
    }
  }
}

// The times of one setting, or of dense attention, a round each.
struct Timed {
  std::vector<double> selection, kernel, total;  // seconds
  double density = 1.0;

  void add(const SparseRun& run) {
    selection.push_back(run.selection_seconds);
    kernel.push_back(run.attention_seconds);
    total.push_back(run.selection_seconds + run.attention_seconds);
    density = std::accumulate(run.density.begin(), run.density.end(), 0.0) /
              static_cast<double>(run.density.size());
  }
};

CostPoint point_of(const Timed& timed) {
  const Distribution total = distribution_of(timed.total);
  return {.density = std::min(1.0, timed.density),
          .selection_ms = distribution_of(timed.selection).median * kMsPerSecond,
          .kernel_ms = distribution_of(timed.kernel).median * kMsPerSecond,
          .spread_ms = (total.p75 - total.p25) * kMsPerSecond};
}

}  // namespace

std::vector<MethodParams> cost_settings(std::span<const Method> methods, const TokenGrid& grid,
                                        const TileShape& tile,
                                        std::span<const Partition> partitions, bool all_pools) {
  std::vector<MethodParams> settings;
  for (const Method method : methods) {
    if (method == Method::kVsa) add_vsa(TileGrid(grid, tile).num_tiles(), settings);
    if (method == Method::kBsa) add_bsa(tile, settings);
    if (method != Method::kVmoba) continue;
    for (const Partition& partition : partitions) add_vmoba(partition, grid, all_pools, settings);
  }
  return settings;
}

KernelCosts measure_costs(const AttentionCall& call, const TileShape& tile,
                          std::span<const MethodParams> settings, int repeats, Impl impl,
                          ThreadPool& pool, const RunMonitor& monitor) {
  SparseExecutor executor(tile, impl, pool);
  const auto run = [&](const PlanRule* rule) {
    const std::vector<const PlanRule*> rule_of_head(static_cast<size_t>(call.q.heads), rule);
    return executor.run(call, rule_of_head, nullptr);
  };
  Timed dense;
  std::vector<Timed> timed(settings.size());
  for (int round = 0; round <= repeats; ++round) {  // the first one warms caches and layouts
    const bool counts = round > 0;
    const SparseRun dense_run = run(nullptr);
    if (counts) dense.add(dense_run);
    for (size_t i = 0; i < settings.size(); ++i) {
      check_stop(monitor);
      const PlanRule rule{.params = settings[i]};
      const SparseRun sparse_run = run(&rule);
      if (counts) timed[i].add(sparse_run);
    }
    report_progress(monitor, round, repeats, fmt::format("costs, round {}/{}", round, repeats));
  }

  KernelCosts costs{.heads = call.q.heads,
                    .head_dim = call.q.head_dim,
                    .grid = call.grid,
                    .tile = tile,
                    .prefix = call.prefix,
                    .suffix = call.suffix,
                    .dtype = std::string(dtype_name(call.q.dtype)),
                    .threads = pool.size(),
                    .repeats = repeats,
                    .dense_ms = distribution_of(dense.total).median * kMsPerSecond};
  for (size_t i = 0; i < settings.size(); ++i) {
    const auto known =
        std::find_if(costs.series.begin(), costs.series.end(),
                     [&](const CostSeries& series) { return same_kind(series.kind, settings[i]); });
    if (known == costs.series.end()) {
      costs.series.push_back({settings[i], {point_of(timed[i])}});
    } else {
      known->points.push_back(point_of(timed[i]));
    }
  }
  return costs;
}

}  // namespace sparsescope
