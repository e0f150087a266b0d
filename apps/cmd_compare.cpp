// compare A.h5 B.h5: how far two profiles agree, head by head.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "apps/command.h"
#include "apps/compare_plan.h"
#include "apps/interval_json.h"
#include "stats/profile_compare.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

struct CompareArguments {
  std::filesystem::path a, b, plan;
  double confidence = 0.95;
};

Json to_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json describe(const std::filesystem::path& file, const Profile& profile, int64_t prompts) {
  return {{"file", file.string()},
          {"grid", to_string(profile.grid)},
          {"tile", to_string(profile.tile)},
          {"prompts", prompts},
          {"steps", profile.steps},
          {"checkpoint_hash", profile.manifest.value("checkpoint_hash", Json(nullptr))}};
}

std::string described(const char* name, const std::filesystem::path& file, const Profile& profile,
                      int64_t prompts) {
  return fmt::format("{}  {}: grid {}, tile {}, {} steps, {} prompts", name, file.string(),
                     to_string(profile.grid), to_string(profile.tile), profile.steps, prompts);
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "-";
}

std::string number(const std::optional<Interval>& interval) {
  return interval ? fmt::format("{:.4f} .. {:.4f}", interval->low, interval->high) : "-";
}

void print_table(const CommandContext& context, const Comparison& comparison) {
  size_t names = 9, whats = 2;
  for (const StatisticAgreement& line : comparison.statistics) {
    names = std::max(names, line.name.size());
    whats = std::max(whats, line.what.size());
  }
  const auto row = [&](const std::string& name, const std::string& what, const std::string& a,
                       const std::string& b, const std::string& difference,
                       const std::string& difference_interval, const std::string& spread,
                       const std::string& rank, const std::string& rank_interval) {
    context.print(fmt::format("{:<{}}  {:<{}}  {:>8}  {:>8}  {:>8}  {:>18}  {:>8}  {:>8}  {:>18}",
                              name, names, what, whats, a, b, difference, difference_interval,
                              spread, rank, rank_interval));
  };
  const std::string by_prompts = fmt::format("{:.0f} %", 100 * comparison.confidence);
  row("statistic", "at", "A", "B", "|A - B|", by_prompts, "prompts", "ranks", by_prompts);
  for (const StatisticAgreement& line : comparison.statistics) {
    row(line.name, line.what, number(line.mean_a), number(line.mean_b), number(line.difference),
        number(line.difference_interval), number(line.spread), number(line.rank),
        number(line.rank_interval));
  }
}

Json statistics_json(const Comparison& comparison) {
  Json list = Json::array();
  for (const StatisticAgreement& line : comparison.statistics) {
    list.push_back({{"name", line.name},
                    {"at", line.what},
                    {"heads", line.heads},
                    {"a", line.mean_a},
                    {"b", line.mean_b},
                    {"difference", line.difference},
                    {"difference_interval", to_json(line.difference_interval)},
                    {"spread_between_prompts", to_json(line.spread)},
                    {"rank_correlation", to_json(line.rank)},
                    {"rank_correlation_interval", to_json(line.rank_interval)}});
  }
  return list;
}

Json heavy_tiles_json(const std::optional<TileSetAgreement>& tiles) {
  if (!tiles) return nullptr;
  return {{"fraction", tiles->fraction},
          {"kept", tiles->kept},
          {"chance", tiles->chance},
          {"jaccard", tiles->jaccard},
          {"jaccard_interval", to_json(tiles->interval)},
          {"between_prompts", to_json(tiles->yardstick)}};
}

void run(CommandContext& context, const CompareArguments& arguments) {
  const Profile a = read_profile(arguments.a), b = read_profile(arguments.b);
  const Comparison comparison = compare_profiles(a, b, arguments.confidence);
  context.print(described("A", arguments.a, a, comparison.prompts_a));
  context.print(described("B", arguments.b, b, comparison.prompts_b));
  context.print(
      fmt::format("{} steps compared, by nearest noise level (largest gap in sigma "
                  "{:.4f}); prompts are {}\n",
                  comparison.steps.size(), comparison.largest_sigma_gap,
                  comparison.paired ? "the same in both" : "other ones in each"));
  print_table(context, comparison);
  if (comparison.heavy_tiles) {
    const TileSetAgreement& tiles = *comparison.heavy_tiles;
    context.print(fmt::format(
        "\nheavy key tiles, {} of each head: A and B share {:.4f} (Jaccard, {:.0f} %: {}), two "
        "prompts of A {}, chance {:.4f}",
        tiles.kept, tiles.jaccard, 100 * comparison.confidence, number(tiles.interval),
        number(tiles.yardstick), tiles.chance));
  }
  std::map<std::string, std::string> names_by_reason;
  for (const auto& [name, reason] : comparison.not_compared) {
    std::string& names = names_by_reason[reason];
    names += (names.empty() ? "" : ", ") + name;
  }
  for (const auto& [reason, names] : names_by_reason) {
    context.print(fmt::format("not compared, as {}: {}", reason, names));
  }
  context.print("\n" + conclusion(comparison));

  Json steps = Json::array(), not_compared = Json::array();
  for (const StepPair& pair : comparison.steps) steps.push_back({pair.a, pair.b});
  for (const auto& [name, reason] : comparison.not_compared) {
    not_compared.push_back({{"name", name}, {"reason", reason}});
  }
  Json plan;
  if (!arguments.plan.empty()) {
    plan = compare_plan(context, a, b, arguments.plan, arguments.confidence);
  }
  context.print_json({{"a", describe(arguments.a, a, comparison.prompts_a)},
                      {"b", describe(arguments.b, b, comparison.prompts_b)},
                      {"confidence", comparison.confidence},
                      {"same_prompts", comparison.paired},
                      {"steps", steps},
                      {"largest_sigma_gap", comparison.largest_sigma_gap},
                      {"statistics", statistics_json(comparison)},
                      {"heavy_key_tiles", heavy_tiles_json(comparison.heavy_tiles)},
                      {"not_compared", not_compared},
                      {"conclusion", conclusion(comparison)},
                      {"plan", plan}});
}

}  // namespace

void add_compare_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(root, context, "compare", "Says how far two profiles agree",
                                  "sparsescope compare small-grid.h5 large-grid.h5");
  const auto arguments = std::make_shared<CompareArguments>();
  command->add_option("A", arguments->a, "A profile (HDF5), whose prompts are the yardstick")
      ->required();
  command->add_option("B", arguments->b, "Another profile (HDF5)")->required();
  command->add_option("--plan", arguments->plan,
                      "A plan derived from A: what it does on B, carried over to B's grid and "
                      "steps, beside B's own plan");
  command->add_option("--confidence", arguments->confidence, "Of the intervals by prompts (0.95)");
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
