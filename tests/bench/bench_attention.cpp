// Times attention: LibTorch's, ours dense, instrumented and sparse, interleaved in one process
// after the results were compared. Medians of the repeats, with the fastest and slowest beside
// them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "kernels/kernel_table.h"
#include "tests/bench/fma_peak.h"
#include "tests/bench/torch_sdpa.h"

namespace sparsescope {
namespace {

struct Size {
  int64_t heads;
  int64_t head_dim;
  TokenGrid grid;
};

// Everything that the runs share.
struct Problem {
  Size size;
  int64_t tokens;
  std::vector<float> q, k, v, out, expected, lse;  // [1, H, S, D], lse [1, H, S]
  KeyCells cells;
  RowGroups rows;

  explicit Problem(const Size& wanted)
      : size(wanted),
        tokens(wanted.grid.tokens()),
        cells(make_key_cells(TileGrid(wanted.grid, {4, 4, 4}), {}, 0, 0)),
        rows(make_row_groups(TileGrid(wanted.grid, {4, 4, 4}), 0, 0)) {
    const int64_t count = size.heads * tokens * size.head_dim;
    uint64_t key = 1;
    for (auto* x : {&q, &k, &v}) {
      x->resize(count);
      for (int64_t i = 0; i < count; ++i) (*x)[i] = static_cast<float>(normal(key, i));
      ++key;
    }
    out.resize(count);
    expected.resize(count);
    lse.resize(size.heads * tokens);
  }

  AttentionTensor view(const std::vector<float>& x) const {
    return contiguous_attention_tensor(x.data(), Dtype::kF32, 1, size.heads, tokens, size.head_dim);
  }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(size.head_dim)); }
  double dense_flops() const {
    return 4.0 * size.heads * static_cast<double>(tokens) * tokens * size.head_dim;
  }
};

DenseAttentionParams dense_params(Problem& problem, bool instrumented) {
  DenseAttentionParams params;
  params.q = problem.view(problem.q);
  params.k = problem.view(problem.k);
  params.v = problem.view(problem.v);
  params.scale = problem.scale();
  params.out = contiguous_output(problem.out.data(), problem.size.heads, problem.tokens,
                                 problem.size.head_dim);
  params.lse = problem.lse.data();
  params.cells = &problem.cells;
  params.rows = &problem.rows;
  if (instrumented) params.sink.consume = [](void*, int, const RowGroupMasses&) {};
  return params;
}

// Random key tiles for every head and query tile: the same count in each list.
struct TileLists {
  std::vector<KeyRange> ranges;
  std::vector<int32_t> range_ids;
  std::vector<SparseItem> items;
  std::vector<SparseStrand> strands;
  double density = 0;
};

TileLists random_lists(const Problem& problem, double wanted_density) {
  TileLists lists;
  const auto tiles = static_cast<int32_t>(problem.cells.cells.size());
  for (const KeyCell& cell : problem.cells.cells) lists.ranges.push_back({cell.first, cell.count});
  const auto kept = std::max(1, static_cast<int32_t>(std::ceil(wanted_density * tiles)));
  for (int32_t head = 0; head < problem.size.heads; ++head) {
    for (const RowBlock& block : problem.rows.blocks) {
      const auto item = static_cast<int32_t>(lists.items.size());
      std::vector<std::pair<double, int32_t>> order;
      for (int32_t tile = 0; tile < tiles; ++tile) order.push_back({uniform(item, tile), tile});
      std::sort(order.begin(), order.end());
      const auto first = static_cast<int32_t>(lists.range_ids.size());
      for (int32_t i = 0; i < kept; ++i) lists.range_ids.push_back(order[i].second);
      std::sort(lists.range_ids.begin() + first, lists.range_ids.end());
      lists.items.push_back({block.first, block.count, first, kept});
      lists.strands.push_back({.head = head, .first_item = item, .num_items = 1});
    }
  }
  lists.density = static_cast<double>(kept) / tiles;
  return lists;
}

SparseAttentionParams sparse_params(Problem& problem, const TileLists& lists) {
  const DenseAttentionParams dense = dense_params(problem, false);
  SparseAttentionParams params{.q = dense.q, .k = dense.k, .v = dense.v, .scale = dense.scale};
  params.out = dense.out;
  params.lse = dense.lse;
  params.selection = {.key_order = problem.cells.order.data(),
                      .num_keys = problem.tokens,
                      .ranges = lists.ranges.data(),
                      .num_ranges = static_cast<int64_t>(lists.ranges.size()),
                      .rows = problem.rows.order.data(),
                      .range_ids = lists.range_ids.data(),
                      .items = lists.items.data(),
                      .strands = lists.strands.data(),
                      .num_strands = static_cast<int64_t>(lists.strands.size())};
  return params;
}

struct Run {
  std::string name;
  double flops = 0;
  std::function<void()> body;
  std::vector<double> seconds = {};

  double median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

void check_close(const std::string& name, const std::vector<float>& found,
                 const std::vector<float>& expected) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(found[i]) - expected[i]));
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  SPARSESCOPE_CHECK(ErrorKind::kInternal, worst <= 1e-5 * largest,
                    "{}: differs by {:.3g} of the largest value; nothing is timed", name,
                    worst / largest);
}

// Wall time, or on a machine that is not free the processor time of this process.
double now_seconds(bool processor_time) {
  if (processor_time) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

void time_interleaved(std::vector<Run>& runs, int repeats, bool processor_time) {
  for (int repeat = -1; repeat < repeats; ++repeat) {  // the first round warms up
    for (Run& run : runs) {
      // A spinning OpenMP pool of the run before would steal time from this one.
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const double start = now_seconds(processor_time);
      run.body();
      const double seconds = now_seconds(processor_time) - start;
      if (repeat >= 0) run.seconds.push_back(seconds);
    }
  }
}

struct Options {
  int threads = 1;
  int repeats = 15;
  bool processor_time = false;
};

void bench_size(const Size& size, Impl impl, const Options& options, double peak) {
  const int threads = options.threads;
  Problem problem(size);
  ThreadPool pool(threads);
  set_torch_threads(threads);
  const AttentionKernels& kernels = attention_kernels(impl);
  const auto torch = [&](float* out) {
    torch_sdpa(problem.q.data(), problem.k.data(), problem.v.data(), out, 1, size.heads,
               problem.tokens, size.head_dim);
  };
  const DenseAttentionParams dense = dense_params(problem, false);
  const DenseAttentionParams recorded = dense_params(problem, true);
  const TileLists full = random_lists(problem, 1.0);
  const TileLists quarter = random_lists(problem, 0.25);
  const TileLists eighth = random_lists(problem, 0.125);

  torch(problem.expected.data());
  kernels.dense(dense, pool);
  check_close("dense", problem.out, problem.expected);
  kernels.dense(recorded, pool);
  check_close("instrumented", problem.out, problem.expected);
  kernels.sparse(sparse_params(problem, full), pool);
  check_close("sparse with every tile", problem.out, problem.expected);

  const double flops = problem.dense_flops();
  std::vector<Run> runs{{"torch sdpa", flops, [&] { torch(nullptr); }},
                        {"dense", flops, [&] { kernels.dense(dense, pool); }},
                        {"instrumented", flops, [&] { kernels.dense(recorded, pool); }}};
  for (const TileLists* lists : {&quarter, &eighth}) {
    runs.push_back({fmt::format("sparse {:.3f}", lists->density), flops * lists->density,
                    [&, lists] { kernels.sparse(sparse_params(problem, *lists), pool); }});
  }
  time_interleaved(runs, options.repeats, options.processor_time);

  fmt::print("\n{}, B1 H{} S{} D{}, grid {}, {} thread(s)\n", impl_name(impl), size.heads,
             problem.tokens, size.head_dim, to_string(size.grid), threads);
  fmt::print("{:<16}{:>10}{:>10}{:>10}{:>10}{:>8}{:>10}{:>12}\n", "", "median ms", "min", "max",
             "GFLOP/s", "peak", "x torch", "x ours dense");
  for (const Run& run : runs) {
    const auto [low, high] = std::minmax_element(run.seconds.begin(), run.seconds.end());
    const double gflops = run.flops / run.median() * 1e-9;
    fmt::print("{:<16}{:>10.2f}{:>10.2f}{:>10.2f}{:>10.1f}{:>7.0f}%{:>10.3f}{:>12.3f}\n", run.name,
               run.median() * 1e3, *low * 1e3, *high * 1e3, gflops,
               peak > 0 ? 100 * gflops / (peak * threads) : 0.0, runs[0].median() / run.median(),
               run.median() / runs[1].median());
  }
}

int bench_main(int argc, char** argv) {
  CLI::App app("Attention on the CPU: LibTorch against ours");
  Options options;
  app.add_option("--threads", options.threads, "threads of every run")->capture_default_str();
  app.add_option("--repeats", options.repeats, "timed rounds")->capture_default_str();
  app.add_flag("--processor-time", options.processor_time,
               "one thread on a busy machine: time of the process instead of wall time");
  CLI11_PARSE(app, argc, argv);
  const double peak = measure_fma_peak_gflops();
  fmt::print("FMA peak of one core: {:.1f} GFLOP/s\n", peak);
  const Impl impl = default_cpu_impl();
  bench_size({.heads = 3, .head_dim = 64, .grid = {8, 16, 16}}, impl, options, peak);
  bench_size({.heads = 4, .head_dim = 128, .grid = {16, 16, 16}}, impl, options, peak);
  return 0;
}

}  // namespace
}  // namespace sparsescope

int main(int argc, char** argv) { return sparsescope::bench_main(argc, argv); }
