// Measures kernel costs (src/plan/kernel_costs.h): one attention call with dense attention and at
// several settings of each kind, all in turn, round after round, by the executor that plans run on.
// Wall time, as a plan is judged by.
#pragma once

#include <span>
#include <vector>

#include "core/progress.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"
#include "plan/kernel_costs.h"

namespace sparsescope {

inline constexpr int kCostRepeats = 7;  // timed rounds where nothing else is asked for

// Settings that span the densities of every kind: VSA's and VMoBA's counts, BSA's cut-offs with
// half and all of the queries, VMoBA's thresholds of every pool. all_pools: also those across
// heads.
std::vector<MethodParams> cost_settings(std::span<const Method> methods, const TokenGrid& grid,
                                        const TileShape& tile,
                                        std::span<const Partition> partitions, bool all_pools);

// Fills in everything but inputs, command line and machine; call.out is overwritten.
// Error(kInterrupted) where the monitor asks to stop.
KernelCosts measure_costs(const AttentionCall& call, const TileShape& tile,
                          std::span<const MethodParams> settings, int repeats, Impl impl,
                          ThreadPool& pool, const RunMonitor& monitor);

}  // namespace sparsescope
