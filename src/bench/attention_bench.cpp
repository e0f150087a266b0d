#include "bench/attention_bench.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "bench/attention_candidates.h"
#include "core/error.h"
#include "kernels/cuda/cuda_attention.h"

namespace sparsescope {
namespace {

void check_options(const AttentionBenchOptions& options) {
  check_shape(options.shape);
  const std::vector<std::string>& known = benchmark_methods();
  for (const std::string& method : options.methods) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, std::ranges::find(known, method) != known.end(),
                      "--methods: expected some of {}, found '{}'", fmt::join(known, ", "), method);
  }
  for (const double density : options.densities) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, density > 0 && density <= 1,
                      "--densities: expected numbers in (0, 1], found {}", density);
  }
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.timing.repeats >= 1,
                    "--repeats: expected at least 1, found {}", options.timing.repeats);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      !options.scaling || (options.threads > 1 && options.timing.source == TimeSource::kWall),
      "--scaling compares the wall time of one thread with that of --threads N, N > 1");
  const bool on_gpu = options.device.is_cuda();
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !on_gpu || options.timing.source == TimeSource::kWall,
                    "--processor-time: expected --device cpu, found {}", to_string(options.device));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !on_gpu || options.caches == std::vector{CacheState::kWarm},
                    "--cache cold: expected --device cpu, found {}", to_string(options.device));
  for (const Partition& partition : options.partitions) {
    partition_blocks(partition, options.shape.grid);
  }
}

// A GPU's work is done when the device says so.
std::function<void()> complete(const std::function<void()>& body, const Device& device) {
  if (!device.is_cuda()) return body;
  return [body] {
    body();
    cuda::synchronize();
  };
}

std::vector<Measurement> time_candidates(const std::vector<TimedCandidate>& candidates,
                                         const AttentionBenchOptions& options, CacheState caches,
                                         ThreadPool& pool, const RunMonitor& monitor) {
  std::vector<TimedBody> bodies;
  for (const TimedCandidate& candidate : candidates) {
    const std::string name = candidate.measurement.name();
    if (candidate.select) {
      bodies.push_back({name + ", selection", complete(candidate.select, options.device)});
    }
    bodies.push_back({name, complete(candidate.attend, options.device),
                      candidate.spins_after && !options.device.is_cuda()});
  }
  time_interleaved(bodies, options.timing, caches, pool, monitor);
  std::vector<Measurement> measurements;
  size_t next = 0;
  for (const TimedCandidate& candidate : candidates) {
    Measurement measurement = candidate.measurement;
    measurement.caches = caches;
    if (candidate.select) measurement.selection = distribution_of(bodies[next++].seconds);
    measurement.seconds = distribution_of(bodies[next++].seconds);
    measurements.push_back(std::move(measurement));
  }
  return measurements;
}

}  // namespace

const std::vector<std::string>& benchmark_methods() {
  static const std::vector<std::string> methods{
      "torch",         "torch-flash", "dense", "masses", "profile", "profile-sampled",
      "profile-tiles", "random",      "vsa",   "bsa",    "vmoba"};
  return methods;
}

AttentionReport bench_attention(const AttentionBenchOptions& options, Impl impl,
                                const AttentionKernels& kernels, const RunMonitor& monitor) {
  check_options(options);
  AttentionCandidates candidates(options, impl, kernels);
  AttentionReport report{.machine = describe_machine(impl, options.device, options.environment),
                         .shape = options.shape,
                         .tile = options.tile,
                         .threads = options.threads,
                         .seed = options.seed,
                         .timing = options.timing,
                         .command_line = options.command_line,
                         .notes = candidates.notes()};
  for (const CacheState caches : options.caches) {
    std::ranges::move(
        time_candidates(candidates.all(), options, caches, candidates.pool(), monitor),
        std::back_inserter(report.runs));
  }
  return report;
}

}  // namespace sparsescope
