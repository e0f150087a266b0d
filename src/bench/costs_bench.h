// `bench costs`: kernel costs of a shape, measured on the inputs of AttentionProblem.
#pragma once

#include <string>
#include <vector>

#include "bench/attention_problem.h"
#include "core/progress.h"
#include "kernels/impl.h"
#include "plan/kernel_costs.h"

namespace sparsescope {

struct CostsBenchOptions {
  AttentionShape shape;
  TileShape tile;
  std::vector<Method> methods{Method::kVsa, Method::kBsa, Method::kVmoba};
  std::vector<Partition> partitions;  // of VMoBA
  int repeats = 1;
  int threads = 1;
  uint64_t seed = 0;
  Json machine;  // to_json(Machine)
  std::string command_line;
};

// Error(kUsage) for options that cannot be met.
KernelCosts bench_costs(const CostsBenchOptions& options, Impl impl, const RunMonitor& monitor);

// A line a series: shares of the time of dense attention at densities, and where it pays.
std::string to_table(const KernelCosts& costs);

}  // namespace sparsescope
