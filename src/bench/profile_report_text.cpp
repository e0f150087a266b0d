// The forms of a ProfileBenchReport: JSON, and a table for people.
#include <fmt/format.h>

#include "bench/profile_bench.h"
#include "bench/text_table.h"

namespace sparsescope {

Json to_json(const ProfileBenchReport& report) {
  return {{"format", "sparsescope-bench"},
          {"version", kBenchVersion},
          {"kind", "profile"},
          {"command_line", report.command_line},
          {"machine", to_json(report.machine)},
          {"grid", {report.grid.t, report.grid.h, report.grid.w}},
          {"prompts", report.prompts},
          {"branches", report.branches},
          {"steps", report.steps},
          {"layers", report.layers},
          {"heads", report.heads},
          {"dtype", report.precision},
          {"threads", report.threads},
          {"time", to_string(report.timing.source)},
          {"repeats", report.timing.repeats},
          {"checked", true},  // nothing else is timed
          {"deviation", report.deviation},
          {"bound", report.bound},
          {"plain", milliseconds_json(report.plain.whole)},
          {"plain_attention", milliseconds_json(report.plain.attention)},
          {"recorded", milliseconds_json(report.recorded.whole)},
          {"recorded_attention", milliseconds_json(report.recorded.attention)},
          {"profile", milliseconds_json(report.profile)},
          {"overhead_end_to_end", report.overhead_end_to_end()},
          {"overhead_p25", report.overhead.p25},
          {"overhead_p75", report.overhead.p75},
          {"model_ms", report.model_seconds() * 1e3},
          {"attention_ms", report.attention_seconds() * 1e3},
          {"reducers_ms", report.reducer_seconds() * 1e3},
          {"writing_ms", report.writing_seconds() * 1e3}};
}

std::string to_table(const ProfileBenchReport& report) {
  std::string text = to_string(report.machine);
  text += fmt::format(
      "grid {}, {} prompts, {} branches, {} steps, {} layers of {} heads, {}; {} thread(s), {} "
      "time, "
      "{} repeats; the trajectories agree to {:.1e}\n\n",
      to_string(report.grid), report.prompts, report.branches, report.steps, report.layers,
      report.heads, report.precision, report.threads, to_string(report.timing.source),
      report.timing.repeats, report.deviation);
  std::vector<std::vector<std::string>> rows{{"run", "ms", "min", "max", "spread", "of plain"}};
  const auto add = [&](const std::string& name, const Distribution& seconds) {
    rows.push_back({name, fmt::format("{:.1f}", seconds.median * 1e3),
                    fmt::format("{:.1f}", seconds.min * 1e3),
                    fmt::format("{:.1f}", seconds.max * 1e3),
                    fmt::format("{:.1f}%", seconds.spread() * 100),
                    fmt::format("{:.3f}", seconds.median / report.plain.whole.median)});
  };
  add("plain", report.plain.whole);
  add("  attention", report.plain.attention);
  add("recorded", report.recorded.whole);
  add("  attention", report.recorded.attention);
  add("profile", report.profile);
  text += format_text_table(rows);
  text += fmt::format(
      "\noverhead end to end {:.3f} ({:.3f} to {:.3f} in half of the rounds): model {:.1f} ms, "
      "attention {:.1f} ms, reducers {:.1f} ms, keeping and writing {:.1f} ms\n",
      report.overhead_end_to_end(), report.overhead.p25, report.overhead.p75,
      report.model_seconds() * 1e3, report.attention_seconds() * 1e3,
      report.reducer_seconds() * 1e3, report.writing_seconds() * 1e3);
  return text;
}

}  // namespace sparsescope
