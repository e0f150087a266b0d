// The three forms of an AttentionReport: JSON, a table for people, CSV.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bench/attention_report.h"
#include "bench/text_table.h"

namespace sparsescope {
namespace {

// The ratios under their names in JSON and CSV; those that a run does not have stay empty.
std::vector<std::pair<std::string, std::optional<double>>> named_ratios(const Ratios& ratios) {
  return {{"gflops", ratios.gflops},         {"peak_share", ratios.peak_share},
          {"vs_torch", ratios.vs_torch},     {"overhead", ratios.overhead},
          {"efficiency", ratios.efficiency}, {"selection_share", ratios.selection_share},
          {"speedup", ratios.speedup},       {"kernel_speedup", ratios.kernel_speedup},
          {"scaling", ratios.scaling}};
}

Json run_json(const AttentionReport& report, const Measurement& run) {
  Json json = {{"method", run.method},        {"parameters", run.parameters},
               {"pass", to_string(run.pass)}, {"cache", to_string(run.caches)},
               {"threads", run.threads},      {"density", run.density},
               {"flops", run.flops},          {"checked", true},  // nothing else is timed
               {"deviation", run.deviation},  {"bound", run.bound}};
  if (run.device_bytes > 0) json["device_bytes"] = run.device_bytes;
  json.update(milliseconds_json(run.seconds));
  if (run.selection) json["selection"] = milliseconds_json(*run.selection);
  for (const auto& [name, value] : named_ratios(ratios_of(report, run))) {
    if (value) json[name] = *value;
  }
  return json;
}

std::string cell(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "";
}

std::vector<std::string> table_row(const AttentionReport& report, const Measurement& run) {
  const Ratios ratios = ratios_of(report, run);
  std::optional<double> selection_ms;
  if (run.selection) selection_ms = run.selection->median * 1e3;
  std::optional<double> percent = ratios.peak_share;
  if (percent) *percent *= 100;
  return {fmt::format("{}{}", run.name(),
                      run.threads == report.threads ? "" : fmt::format(", {} thread", run.threads)),
          fmt::format("{:.4f}", run.density),
          fmt::format("{:.3f}", run.seconds.median * 1e3),
          fmt::format("{:.3f}", run.seconds.min * 1e3),
          fmt::format("{:.3f}", run.seconds.max * 1e3),
          fmt::format("{:.1f}%", run.seconds.spread() * 100),
          fmt::format("{:.1f}", ratios.gflops),
          percent ? fmt::format("{:.0f}%", *percent) : "",
          cell(ratios.vs_torch, 3),
          cell(ratios.overhead, 3),
          cell(ratios.efficiency, 3),
          cell(selection_ms, 3),
          cell(ratios.selection_share, 3),
          cell(ratios.speedup, 2),
          cell(ratios.kernel_speedup, 2),
          cell(ratios.scaling, 2),
          fmt::format("{:.1e}", run.deviation)};
}

}  // namespace

Json to_json(const AttentionReport& report) {
  const AttentionShape& shape = report.shape;
  Json runs = Json::array();
  for (const Measurement& run : report.runs) runs.push_back(run_json(report, run));
  return {{"format", "sparsescope-bench"},
          {"version", kBenchVersion},
          {"kind", "attention"},
          {"command_line", report.command_line},
          {"machine", to_json(report.machine)},
          {"shape", {shape.batch, shape.heads, shape.tokens, shape.head_dim}},
          {"grid", {shape.grid.t, shape.grid.h, shape.grid.w}},
          {"tile", {report.tile.t, report.tile.h, report.tile.w}},
          {"prefix", shape.prefix},
          {"suffix", shape.suffix},
          {"dtype", dtype_name(shape.dtype)},
          {"threads", report.threads},
          {"time", to_string(report.timing.source)},
          {"repeats", report.timing.repeats},
          {"seed", report.seed},
          {"inputs", AttentionProblem::description()},
          {"notes", report.notes},
          {"runs", runs}};
}

std::string to_table(const AttentionReport& report) {
  const AttentionShape& shape = report.shape;
  std::string text = to_string(report.machine);
  text += fmt::format(
      "B{} H{} S{} D{} {}, grid {}, tile {}, text {}+{}; {} thread(s), {} time, {} repeats; every "
      "run was checked first\n",
      shape.batch, shape.heads, shape.tokens, shape.head_dim, dtype_name(shape.dtype),
      to_string(shape.grid), to_string(report.tile), shape.prefix, shape.suffix, report.threads,
      to_string(report.timing.source), report.timing.repeats);
  for (const std::string& note : report.notes) text += note + '\n';
  for (const Pass pass : {Pass::kForward, Pass::kBackward}) {
    for (const CacheState caches : {CacheState::kWarm, CacheState::kCold}) {
      std::vector<std::vector<std::string>> rows{
          {fmt::format("{}, {} caches", to_string(pass), to_string(caches)), "density", "ms", "min",
           "max", "spread", "GFLOP/s", "peak", "vs torch", "overhead", "efficiency", "select ms",
           "share", "speed-up", "kernel", "scaling", "deviation"}};
      for (const Measurement& run : report.runs) {
        if (run.pass == pass && run.caches == caches) rows.push_back(table_row(report, run));
      }
      if (rows.size() > 1) text += '\n' + format_text_table(rows);
    }
  }
  return text;
}

std::string to_csv(const AttentionReport& report) {
  std::string text =
      "method,parameters,pass,cache,threads,density,flops,deviation,bound,median_ms,min_ms,max_ms,"
      "spread,selection_ms";
  for (const auto& [name, value] : named_ratios({})) text += fmt::format(",{}", name);
  text += '\n';
  for (const Measurement& run : report.runs) {
    // Parameters hold commas ("st:4,4,4").
    text += fmt::format("{},\"{}\",{},{},{},{},{},{},{},{},{},{},{},{}", run.method, run.parameters,
                        to_string(run.pass), to_string(run.caches), run.threads, run.density,
                        run.flops, run.deviation, run.bound, run.seconds.median * 1e3,
                        run.seconds.min * 1e3, run.seconds.max * 1e3, run.seconds.spread(),
                        run.selection ? fmt::format("{}", run.selection->median * 1e3) : "");
    for (const auto& [name, value] : named_ratios(ratios_of(report, run))) {
      text += value ? fmt::format(",{}", *value) : ",";
    }
    text += '\n';
  }
  return text;
}

}  // namespace sparsescope
