// What `bench attention` found: times as they were taken, and the ratios that follow from them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/attention_problem.h"
#include "bench/machine.h"
#include "bench/timing.h"
#include "core/distribution.h"

namespace sparsescope {

enum class Pass { kForward, kBackward };
std::string to_string(Pass pass);  // "forward", "backward"

// One way to compute the attention, in one state of the caches.
struct Measurement {
  std::string method;      // of benchmark_methods()
  std::string parameters;  // "top-k 8"; may be empty
  Pass pass = Pass::kForward;
  CacheState caches = CacheState::kWarm;
  int threads = 1;
  double density = 1;                     // computed query-key pairs over all pairs
  double flops = 0;                       // of these pairs: 4 D a pair forward, 10 D backward
  double deviation = 0, bound = 0;        // of the check, see agreement.h
  int64_t device_bytes = 0;               // held by a run on a GPU beside its inputs and results
  Distribution seconds;                   // of the kernel
  std::optional<Distribution> selection;  // pooling, scores, lists, restore; sparse methods only

  std::string name() const;  // method and parameters
  double selection_seconds() const { return selection ? selection->median : 0; }
};

struct AttentionReport {
  Machine machine;
  AttentionShape shape;
  TileShape tile;
  int threads = 1;
  uint64_t seed = 0;
  TimingOptions timing;
  std::string command_line;
  std::vector<std::string> notes;  // what was left out, and why
  std::vector<Measurement> runs;
};

// Of medians. The baselines are the runs of torch and dense with the same pass, caches and threads.
struct Ratios {
  double gflops = 0;
  std::optional<double> peak_share;       // gflops over the measured peak of the cores in use
  std::optional<double> vs_torch;         // torch / this, selection included
  std::optional<double> overhead;         // instrumented / dense
  std::optional<double> efficiency;       // dense * density / kernel
  std::optional<double> selection_share;  // selection / (selection + kernel)
  std::optional<double> speedup;          // dense / (selection + kernel)
  std::optional<double> kernel_speedup;   // dense / kernel
  std::optional<double> scaling;          // one thread / all threads
};

Ratios ratios_of(const AttentionReport& report, const Measurement& run);

Json to_json(const AttentionReport& report);          // "format": "sparsescope-bench", version 1
std::string to_table(const AttentionReport& report);  // aligned, for people
std::string to_csv(const AttentionReport& report);    // a header, then a line a run

}  // namespace sparsescope
