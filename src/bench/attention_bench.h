// `bench attention`: checks that every implementation agrees, then times them interleaved.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/attention_report.h"
#include "core/progress.h"
#include "kernels/kernel_table.h"

namespace sparsescope {

struct AttentionBenchOptions {
  AttentionShape shape;
  TileShape tile;
  std::vector<double> densities{0.5, 0.25, 0.125, 0.0625};
  std::vector<std::string> methods;   // of benchmark_methods(); empty: all. dense always runs
  std::vector<Partition> partitions;  // of VMoBA; empty: benchmark_partition of the grid
  std::vector<CacheState> caches{CacheState::kWarm};
  bool backward = false;
  bool deterministic = false;  // backward, as SparseBackwardParams says
  bool scaling = false;        // dense also with one thread
  Device device;
  int threads = 1;
  uint64_t seed = 0;
  TimingOptions timing;
  std::map<std::string, std::string> environment;  // for the report
  std::string command_line;
};

// torch (cuDNN's on a GPU), torch-flash (on a GPU alone), dense, masses (a sink that drops them),
// profile (all statistics, of as many rows as a profile takes of this grid), profile-sampled (of 4
// rows a tile), profile-tiles (without those of VMoBA), random, vsa, bsa, vmoba.
const std::vector<std::string>& benchmark_methods();

// Error(kUsage) for options that cannot be met, Error(kInternal) where a result is wrong. kernels
// are those of impl; a test passes wrong ones.
AttentionReport bench_attention(const AttentionBenchOptions& options, Impl impl,
                                const AttentionKernels& kernels, const RunMonitor& monitor);

}  // namespace sparsescope
