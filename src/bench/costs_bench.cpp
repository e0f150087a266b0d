#include "bench/costs_bench.h"

#include <fmt/format.h>

#include "bench/text_table.h"
#include "plan/cost_lines.h"
#include "sparse/cost_measurement.h"

namespace sparsescope {

KernelCosts bench_costs(const CostsBenchOptions& options, Impl impl, const RunMonitor& monitor) {
  const AttentionShape& shape = options.shape;
  const std::vector<MethodParams> settings =
      cost_settings(options.methods, shape.grid, options.tile, options.partitions, true);
  ThreadPool pool(options.threads);
  const AttentionProblem problem(shape, options.seed, pool);
  std::vector<float> out(problem.elements());
  KernelCosts costs = measure_costs(problem.call(out.data()), options.tile, settings,
                                    options.repeats, impl, pool, monitor);
  costs.inputs = AttentionProblem::description();
  costs.machine = options.machine;
  costs.command_line = options.command_line;
  return costs;
}

std::string to_table(const KernelCosts& costs) {
  std::vector<std::vector<std::string>> rows{
      {"time over dense", "selection", "at 0.125", "at 0.25", "at 0.5", "spread", "pays below"}};
  const CostLines lines(costs);
  for (const CostLines::Entry& entry : lines.entries()) {
    const CostLine& line = entry.line;
    std::vector<std::string>& row = rows.emplace_back();
    row.push_back(kind_name(entry.kind));
    row.push_back(fmt::format("{:.3f}", line.selection + 0.25 * line.selection_slope));
    for (const double density : {0.125, 0.25, 0.5}) {
      row.push_back(fmt::format("{:.3f}", line.at(density)));
    }
    row.push_back(fmt::format("{:.3f}", line.spread));
    row.push_back(fmt::format("{:.3f}", line.crossover()));
  }
  return fmt::format(
      "grid {}, tile {}, {} heads of {}, {}, {} threads: dense attention {:.3f} ms (medians of {} "
      "rounds)\n{}",
      to_string(costs.grid), to_string(costs.tile), costs.heads, costs.head_dim, costs.dtype,
      costs.threads, costs.dense_ms, costs.repeats, format_text_table(rows));
}

}  // namespace sparsescope
