#include "bench/attention_report.h"

#include <algorithm>

namespace sparsescope {
namespace {

const Measurement* find_run(const AttentionReport& report, const Measurement& like,
                            const std::string& method, int threads) {
  const auto found = std::ranges::find_if(report.runs, [&](const Measurement& run) {
    return run.method == method && run.pass == like.pass && run.caches == like.caches &&
           run.threads == threads;
  });
  return found == report.runs.end() ? nullptr : &*found;
}

bool is_instrumented(const Measurement& run) {
  return run.method == "masses" || run.method.starts_with("profile");
}

bool is_sparse(const Measurement& run) {
  return !run.method.starts_with("torch") && run.method != "dense" && !is_instrumented(run);
}

// Of one core, for the type that the inputs have; of a GPU as a whole.
double core_peak(const AttentionReport& report) {
  if (!report.machine.gpu.empty()) return report.machine.gpu_peak_gflops;
  const bool bf16 = report.shape.dtype == Dtype::kBF16 && report.machine.bf16_peak_gflops > 0;
  return bf16 ? report.machine.bf16_peak_gflops : report.machine.fma_peak_gflops;
}

}  // namespace

std::string to_string(Pass pass) { return pass == Pass::kForward ? "forward" : "backward"; }

std::string Measurement::name() const {
  return parameters.empty() ? method : method + " " + parameters;
}

Ratios ratios_of(const AttentionReport& report, const Measurement& run) {
  Ratios ratios;
  const double kernel = run.seconds.median, whole = kernel + run.selection_seconds();
  ratios.gflops = run.flops / kernel * 1e-9;
  // Processor time is that of all threads together: its rate is that of one core.
  const bool one = report.timing.source == TimeSource::kProcessor || !report.machine.gpu.empty();
  const int cores = one ? 1 : run.threads;
  if (const double peak = core_peak(report); peak > 0) {
    ratios.peak_share = ratios.gflops / (peak * cores);
  }
  if (const Measurement* torch = find_run(report, run, "torch", run.threads)) {
    ratios.vs_torch = torch->seconds.median / whole;
  }
  if (run.selection) ratios.selection_share = run.selection_seconds() / whole;
  if (const Measurement* dense = find_run(report, run, "dense", run.threads)) {
    if (is_instrumented(run)) ratios.overhead = kernel / dense->seconds.median;
    if (is_sparse(run)) {
      ratios.efficiency = dense->seconds.median * run.density / kernel;
      ratios.speedup = dense->seconds.median / whole;
      ratios.kernel_speedup = dense->seconds.median / kernel;
    }
  }
  if (run.threads > 1) {
    const Measurement* single = find_run(report, run, run.method, 1);
    if (single != nullptr && run.method == "dense") {
      ratios.scaling = single->seconds.median / kernel;
    }
  }
  return ratios;
}

}  // namespace sparsescope
