// Times what profiling adds to dense attention: the dense hook against the profiling hook without
// and with the default partitions, interleaved; then the phases that stand before the attention.
// Processor time of one thread, medians of the repeats.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "capture/call_layout.h"
#include "capture/dense_hook.h"
#include "capture/gate_cuts.h"
#include "capture/key_means.h"
#include "capture/profiling_hook.h"
#include "core/rng.h"
#include "core/token_grid.h"
#include "kernels/kernel_table.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

struct Size {
  int64_t heads;
  int64_t head_dim;
  TokenGrid grid;
};

struct Run {
  std::string name;
  std::function<void()> body;
  std::vector<double> seconds = {};

  double median() const {
    std::vector<double> sorted(seconds);
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void time_interleaved(std::vector<Run>& runs, int repeats) {
  for (int repeat = -1; repeat < repeats; ++repeat) {  // the first round warms up
    for (Run& run : runs) {
      const double start = processor_seconds();
      run.body();
      if (repeat >= 0) run.seconds.push_back(processor_seconds() - start);
    }
  }
}

// The tensors of one call, kept alive beside it.
struct Problem {
  std::vector<float> q, k, v, out;  // [1, H, S, D]
  AttentionCall call;

  explicit Problem(const Size& size) {
    const int64_t S = size.grid.tokens(), D = size.head_dim;
    uint64_t key = 1;
    for (auto* x : {&q, &k, &v}) {
      x->resize(size.heads * S * D);
      for (size_t i = 0; i < x->size(); ++i) (*x)[i] = static_cast<float>(normal(key, i));
      ++key;
    }
    out.resize(q.size());
    const auto view = [&](const std::vector<float>& x) {
      return contiguous_attention_tensor(x.data(), Dtype::kF32, 1, size.heads, S, D);
    };
    call.q = view(q);
    call.k = view(k);
    call.v = view(v);
    call.out = contiguous_output(out.data(), size.heads, S, D);
    call.scale = 1.0f / std::sqrt(static_cast<float>(D));
    call.grid = size.grid;
  }
};

void bench_size(const Size& size, Impl impl, int repeats, const std::string& only) {
  const TileShape tile{4, 4, 4};
  const std::vector<Partition> partitions = default_partitions(size.grid);
  Problem problem(size);
  ThreadPool pool(1);
  DenseHook dense(impl, pool);
  ProfilingHook plain({.tile = tile}, impl, pool);
  ProfilingHook full({.tile = tile, .partitions = partitions}, impl, pool);
  const CallLayout layout = make_call_layout({size.grid, 0, 0}, tile, partitions, 0, 0);
  const RowStatsKernels& kernels = row_stats_kernels(impl);
  const KeyMeans means = compute_key_means(problem.call.k, layout, kernels, pool);
  GateMemory gate_memory;
  const auto record = [&](ProfilingHook& hook) {
    hook.attend(problem.call);
    hook.take();
  };
  DenseAttentionParams masses{
      .q = problem.call.q, .k = problem.call.k, .v = problem.call.v, .scale = problem.call.scale};
  masses.out = problem.call.out;
  masses.cells = &layout.cells;
  masses.rows = &layout.rows;
  masses.sink.consume = [](void*, int, const RowGroupMasses&) {};
  std::vector<Run> runs{
      {"dense", [&] { dense.attend(problem.call); }},
      {"profiling", [&] { record(plain); }},
      {"profiling, partitions", [&] { record(full); }},
      {"- mean keys", [&] { compute_key_means(problem.call.k, layout, kernels, pool); }},
      {"- attention, masses", [&] { attention_kernels(impl).dense(masses, pool); }},
      {"- cuts of the pools",
       [&] {
         auto cuts = find_gate_cuts(problem.call.q, layout, means, kernels, pool, kGateBudgetBytes,
                                    &gate_memory);
         gate_memory.gates = cuts.store->take_memory();
       }},
  };
  std::erase_if(runs, [&](const Run& run) { return !only.empty() && run.name != only; });
  time_interleaved(runs, repeats);
  fmt::print("\n{}, H{} S{} D{}, grid {}, {} partitions of {} blocks\n", impl_name(impl),
             size.heads, size.grid.tokens(), size.head_dim, to_string(size.grid), partitions.size(),
             layout.partition_blocks);
  for (const Run& run : runs) {
    fmt::print("{:<24}{:>10.2f} ms{:>8.3f} x dense\n", run.name, run.median() * 1e3,
               run.median() / runs[0].median());
  }
}

int bench_main(int argc, char** argv) {
  CLI::App app("The cost of profiling beside dense attention");
  int repeats = 15;
  app.add_option("--repeats", repeats, "timed rounds")->capture_default_str();
  bool small = false;
  app.add_flag("--small", small, "the first size alone");
  std::string only;
  app.add_option("--only", only, "one run alone, by its name, for a profiler");
  CLI11_PARSE(app, argc, argv);
  const Impl impl = default_cpu_impl();
  const std::vector<Size> sizes{{.heads = 3, .head_dim = 64, .grid = {8, 16, 16}},
                                {.heads = 4, .head_dim = 64, .grid = {7, 13, 15}},
                                {.heads = 4, .head_dim = 128, .grid = {16, 16, 16}},
                                {.heads = 1, .head_dim = 64, .grid = {16, 32, 32}}};
  const size_t count = small ? 1 : sizes.size();
  for (size_t i = 0; i < count; ++i) bench_size(sizes[i], impl, repeats, only);
  return 0;
}

}  // namespace
}  // namespace sparsescope

int main(int argc, char** argv) { return sparsescope::bench_main(argc, argv); }
