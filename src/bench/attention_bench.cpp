#include "bench/attention_bench.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "bench/attention_candidates.h"
#include "core/error.h"

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
  for (const Partition& partition : options.partitions) {
    partition_blocks(partition, options.shape.grid);
  }
}

std::vector<Measurement> time_candidates(const std::vector<Candidate>& candidates,
                                         const TimingOptions& timing, CacheState caches,
                                         ThreadPool& pool, const RunMonitor& monitor) {
  std::vector<TimedBody> bodies;
  for (const Candidate& candidate : candidates) {
    const std::string name = candidate.measurement.name();
    if (candidate.select) bodies.push_back({name + ", selection", candidate.select});
    bodies.push_back({name, candidate.attend, candidate.spins_after});
  }
  time_interleaved(bodies, timing, caches, pool, monitor);
  std::vector<Measurement> measurements;
  size_t next = 0;
  for (const Candidate& candidate : candidates) {
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
      "torch", "dense", "masses", "profile", "profile-sampled", "profile-tiles", "random", "vsa", "bsa", "vmoba"};
  return methods;
}

AttentionReport bench_attention(const AttentionBenchOptions& options, Impl impl,
                                const AttentionKernels& kernels, const RunMonitor& monitor) {
  check_options(options);
  AttentionCandidates candidates(options, impl, kernels);
  AttentionReport report{.machine = describe_machine(impl, options.environment),
                         .shape = options.shape,
                         .tile = options.tile,
                         .threads = options.threads,
                         .seed = options.seed,
                         .timing = options.timing,
                         .command_line = options.command_line,
                         .notes = candidates.notes()};
  for (const CacheState caches : options.caches) {
    std::ranges::move(
        time_candidates(candidates.all(), options.timing, caches, candidates.pool(), monitor),
        std::back_inserter(report.runs));
  }
  return report;
}

}  // namespace sparsescope
