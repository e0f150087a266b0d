#include "apps/summary_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "bench/text_table.h"

namespace sparsescope {
namespace {

using Row = std::vector<std::string>;
using Rows = std::vector<Row>;

std::string text(double value) { return std::isnan(value) ? "-" : fmt::format("{:.3f}", value); }
std::string text(const std::optional<double>& value) { return value ? text(*value) : "-"; }

std::string range_text(const Measured& measured) {
  if (!measured.interval) return "";
  return fmt::format("{:.3f} .. {:.3f}", measured.interval->low, measured.interval->high);
}

std::string text(const Measured& measured) {
  if (!measured.interval) return text(measured.value);
  return fmt::format("{} ({})", text(measured.value), range_text(measured));
}

std::string place(int64_t layer, int64_t head) { return fmt::format("{}.{}", layer, head); }

std::string section(const std::string& title, const std::string& note) {
  return fmt::format("\n{}\n{}\n", title, note);
}

std::string key_facts_text(const KeyFacts& facts) {
  std::string out = section("KEY FACTS", "means over heads and sites (interval by prompts)");
  Rows rows = {{"fact", "mean", "5 % of heads", "95 % of heads", "unit"}};
  for (const Fact& fact : facts.facts) {
    rows.push_back({fact.name, text(fact.mean), text(fact.low), text(fact.high), fact.unit});
  }
  out += format_text_table(rows);

  out +=
      "\nMass of the kept tiles: chosen by each row, by each tile, by pooled scores; what sharing "
      "a list\nand ranking by pooled scores lose\n";
  rows = {{"f", "tiles", "chance", "row", "tile", "pooled", "sharing", "ranking"}};
  int64_t last = 0;
  for (const CoverageLine& line : facts.coverage) {
    if (line.kept == last) continue;  // small grids: several fractions keep as many tiles
    last = line.kept;
    rows.push_back({fmt::format("{:.4g}", line.fraction), fmt::format("{}", line.kept),
                    text(line.chance), text(line.row.value), text(line.tile.value),
                    text(line.pooled), text(line.sharing.value), text(line.ranking.value)});
  }
  out += format_text_table(rows);

  rows = {{"layer", "entropy / ln S", "row", "tile", "pooled", "row_overlap"}};
  for (const LayerFacts& layer : facts.layers) {
    rows.push_back({fmt::format("{}", layer.layer), text(layer.entropy.value),
                    text(layer.row.value), text(layer.tile.value), text(layer.pooled),
                    text(layer.row_overlap.value)});
  }
  out += fmt::format("\nBy layer, coverages at f = {:.4g}\n", facts.budget);
  out += format_text_table(rows);

  const SinkFacts& sinks = facts.sinks;
  out += fmt::format(
      "\nSinks: the {} heaviest of a head's key tiles get {} of all attention (even attention: "
      "{:.3f});\ntile {} at {} is the heaviest one of {:.0f} % of the heads (chance {:.1f} %)\n",
      sinks.kept, text(sinks.share), sinks.chance, sinks.tile, fmt::join(sinks.place, ","),
      100 * sinks.heads, 100 * sinks.heads_chance);

  out += "\nStandard deviation of one head's value along one axis, all else fixed\n";
  rows = {{"number", "prompts", "branches", "steps", "heads", "layers"}};
  for (const SpreadLine& line : facts.spreads) {
    const Spreads& s = line.spreads;
    rows.push_back({line.name, text(s.prompts), text(s.branches), text(s.steps), text(s.heads),
                    text(s.layers)});
  }
  out += format_text_table(rows);
  rows = {{"number", "layers", "heads", "steps", "head x step", "branches", "prompts", "rest"}};
  for (const SpreadLine& line : facts.spreads) {
    if (!line.shares) continue;
    const VarianceShares& s = *line.shares;
    rows.push_back({line.name, text(s.layers), text(s.heads), text(s.steps), text(s.head_steps),
                    text(s.branches), text(s.prompts), text(s.rest)});
  }
  if (rows.size() > 1) out += "\nShares of the variance\n" + format_text_table(rows);

  const RowSampling& sampling = facts.sampling;
  if (sampling.rows_per_tile == 0) {
    out += "\nEvery row was measured";
  } else {
    out += fmt::format(
        "\ncoverage_row and VMoBA's numbers stand on {} rows of each full tile, {} of a site: "
        "standard\nerror at most {:.4f} a site and head",
        sampling.rows_per_tile, sampling.rows, sampling.largest_error);
  }
  return out +
         (sampling.error_tiles > 0
              ? fmt::format("; query tiles of a call behind errors: {}\n", sampling.error_tiles)
              : "\n");
}

double most_mass(const HeadClassification& masses) {
  return std::max({masses.spatial, masses.temporal, masses.local_3d, masses.sink});
}

std::string classes_text(const ClassTable& table, size_t top) {
  std::string out =
      section("HEAD CLASSES", fmt::format("by the mass that each neighbourhood holds at {:.4g} of "
                                          "the pairs (chance {:.4g})",
                                          table.budget, table.budget));
  Rows rows = {{"class", "heads", "share, by each prompt's own means", "first step", "last step"}};
  for (size_t i = 0; i < kNumHeadClasses; ++i) {
    const std::string name(to_string(static_cast<HeadClass>(i)));
    rows.push_back({name == "none" ? "none of these" : name, fmt::format("{}", table.counts[i]),
                    text(table.shares[i]), text(table.shares_by_step.front()[i].value),
                    text(table.shares_by_step.back()[i].value)});
  }
  out += format_text_table(rows);
  out += fmt::format("{:.0f} % of the heads change class over the {} recorded steps\n\n",
                     100 * table.changing, table.steps.size());
  std::vector<ClassifiedHead> heads = table.heads;  // the most pronounced ones first
  std::stable_sort(heads.begin(), heads.end(), [](const auto& left, const auto& right) {
    return most_mass(left.masses) > most_mass(right.masses);
  });
  rows = {{"layer.head", "class", "spatial", "temporal", "local 3D", "sink", "prompts agreeing"}};
  for (size_t i = 0; i < std::min(top, heads.size()); ++i) {
    const ClassifiedHead& head = heads[i];
    rows.push_back({place(head.layer, head.head), std::string(to_string(head.masses.head_class)),
                    text(head.masses.spatial), text(head.masses.temporal),
                    text(head.masses.local_3d), text(head.masses.sink), text(head.agreeing)});
  }
  return out + format_text_table(rows);
}

std::string sets_text(const SetStability& stability) {
  const bool maps = stability.source == SetSource::kMaps;
  std::string out =
      section(maps ? "STABILITY OF EACH QUERY TILE'S KEY TILES" : "STABILITY OF A HEAD'S KEY TILES",
              maps ? "Jaccard index of the K heaviest key tiles of each query tile's map row"
                   : "Jaccard index of the K key tiles with the most key_mass");
  if (stability.overlaps.empty()) return out + "one step, one prompt, one branch: no two sets\n";
  Rows rows = {
      {"between", "f", "K", "chance", "Jaccard", "above chance", "least layer", "most layer"}};
  for (const SetOverlap& line : stability.overlaps) {
    std::vector<double> layers;
    for (const Measured& layer : line.by_layer) layers.push_back(layer.value);
    rows.push_back({line.between, fmt::format("{:.4g}", line.fraction),
                    fmt::format("{}", line.kept), text(line.chance), text(line.jaccard),
                    text(line.excess.value), text(known_quantile(layers, 0)),
                    text(known_quantile(layers, 1))});
  }
  return out + format_text_table(rows);
}

std::string premise_text(const ScorePremise& premise, size_t top) {
  std::string out = section("BSA'S PREMISE: NORMAL SCORES",
                            "shift: what the cut's z needs for the density to be kappa; foretold: "
                            "by skewness and\nkurtosis (Cornish-Fisher); rest: mean |shift - "
                            "foretold| over heads");
  Rows rows = {{"moment of a row's scores", "mean", "5 % of heads", "95 % of heads"}};
  for (const MomentSpread& moment : premise.moments) {
    rows.push_back({moment.name, text(moment.mean), text(moment.low), text(moment.high)});
  }
  out += format_text_table(rows) + "\n";
  rows = {{"kappa", "density", "heads 5 .. 95 %", "normal rows", "their shift", "shift", "foretold",
           "|shift|", "rest", "without"}};
  for (const CutLine& cut : premise.cuts) {
    rows.push_back({fmt::format("{:.4g}", cut.kappa), text(cut.density),
                    fmt::format("{} .. {}", text(cut.low), text(cut.high)),
                    text(cut.gaussian_density), text(cut.gaussian_shift), text(cut.shift.value),
                    text(cut.predicted), text(cut.size), text(cut.rest),
                    fmt::format("{}", cut.without)});
  }
  out += format_text_table(rows) + fmt::format("\nBy layer, kappa {:.4g}\n", premise.kappa);
  rows = {{"layer", "skewness", "excess kurtosis", "density", "shift"}};
  for (const LayerPremise& layer : premise.layers) {
    rows.push_back({fmt::format("{}", layer.layer), text(layer.skewness),
                    text(layer.excess_kurtosis), text(layer.density), text(layer.shift)});
  }
  out += format_text_table(rows) + "\nThe heads furthest from normal\n";
  rows = {{"layer.head", "skewness", "excess kurtosis", "density", "shift", "foretold"}};
  for (size_t i = 0; i < std::min(top, premise.heads.size()); ++i) {
    const HeadPremise& head = premise.heads[i];
    rows.push_back({place(head.layer, head.head), text(head.skewness), text(head.excess_kurtosis),
                    text(head.density), text(head.shift), text(head.predicted)});
  }
  return out + format_text_table(rows);
}

std::string queries_text(const QueryPremise& premise) {
  std::string out =
      section("QUERIES THAT RESEMBLE EACH OTHER",
              "cosine of a row's query and its window's centre (random directions: 0)");
  Rows rows = {{"window", "mean cosine", "least head", "its mean",
                fmt::format("heads above {}", kAlikeCosine)}};
  for (const WindowCosine& window : premise.windows) {
    rows.push_back({window.window + (window.of_tile ? " (tile)" : ""), text(window.mean),
                    place(window.least_layer, window.least_head), text(window.least),
                    text(window.alike)});
  }
  out += format_text_table(rows);
  return out +
         fmt::format("row_overlap (1: all rows of a tile attend alike): {}, least {:.3f} in {}\n",
                     text(premise.row_overlap), premise.least_overlap,
                     place(premise.least_layer, premise.least_head));
}

std::string errors_text(const RecallErrors& errors, size_t top) {
  const RecallErrorLine& first = errors.lines.front();
  std::string out = section(
      "WHERE RECALL MISLEADS",
      fmt::format(
          "rank correlation over (branch, step, layer, head), {} of them; 1: who misses more "
          "mass has the larger\nerror, 0: chance, within {:.3f} of it in 95 % of cases if "
          "all were independent; VMoBA's thresholds: --json",
          first.places, 1.96 / std::sqrt(std::max(1.0, static_cast<double>(first.places) - 1))));
  Rows rows = {{"method", "setting", "missed", "error", "missed ~ error", "within layers",
                "error ~ effect", "missed ~ effect"}};
  for (const RecallErrorLine& line : errors.lines) {
    if (line.is_threshold) continue;
    rows.push_back({line.method, line.setting, text(line.missed.value), text(line.error.value),
                    text(line.over_all), text(line.within_layers.value),
                    text(line.error_effect.value), text(line.missed_effect.value)});
  }
  out += format_text_table(rows);
  out += fmt::format("\nThe heads that it misleads about most, {} at {} (ranks: 0 least, 1 most)\n",
                     first.method, first.setting);
  rows = {{"layer.head", "missed mass", "its rank", "error", "its rank", "recall makes it look"}};
  for (size_t i = 0; i < std::min(top, first.heads.size()); ++i) {
    const RankedHead& head = first.heads[i];
    rows.push_back({place(head.layer, head.head), text(head.missed), text(head.missed_rank),
                    text(head.error), text(head.error_rank),
                    head.missed_rank > head.error_rank ? "worse" : "better"});
  }
  return out + format_text_table(rows);
}

std::string schedule_text(const ScheduleCost& cost, const std::vector<Partition>& partitions) {
  const VmobaSchedule& s = cost.schedule;
  std::vector<std::string> names;
  for (const int64_t one : cost.partitions) {
    if (one >= 0) names.push_back(to_string(partitions[static_cast<size_t>(one)]));
  }
  return fmt::format("{}/{}/{} from {}: {}", s.temporal_layers, s.spatial_layers, s.st_layers,
                     s.first_full_layer, fmt::join(names, " "));
}

// The first ranking with this rule, judge and density; null where there is none.
const PartitionRanking* find_ranking(const std::vector<PartitionRanking>& rankings,
                                     const std::string& rule, const std::string& judge,
                                     double density) {
  const auto found =
      std::find_if(rankings.begin(), rankings.end(), [&](const PartitionRanking& one) {
        return one.rule == rule && one.judge == judge && one.density == density;
      });
  return found == rankings.end() ? nullptr : &*found;
}

// Of all partitions those that some layer takes, by itself or in the plain cycle.
std::string layers_text(const PartitionRanking& ranking) {
  std::set<size_t> shown;
  for (const LayerPartitions& layer : ranking.layers) {
    for (const int64_t one : {layer.best, layer.in_cycle}) {
      if (one >= 0) shown.insert(static_cast<size_t>(one));
    }
  }
  Row header = {"layer"};
  for (const size_t one : shown) header.push_back(to_string(ranking.partitions[one]));
  header.insert(header.end(), {"best", "prompts agreeing"});
  Rows rows = {header};
  const auto name = [&](int64_t one) {
    return one < 0 ? "-" : to_string(ranking.partitions[static_cast<size_t>(one)]);
  };
  for (const LayerPartitions& layer : ranking.layers) {
    Row row = {fmt::format("{}", layer.layer)};
    for (const size_t one : shown) row.push_back(text(layer.values[one].value));
    row.insert(row.end(), {name(layer.best), text(layer.agreeing)});
    rows.push_back(row);
  }
  return fmt::format(
             "\n{} of each partition that is best somewhere or in the cycle, {} at density "
             "{:.4g} (agreeing by chance: {:.3f})\n",
             ranking.judge, ranking.rule, ranking.density, ranking.chance) +
         format_text_table(rows);
}

std::string partitions_text(const std::vector<PartitionRanking>& rankings, double density) {
  std::string out = section(
      "VMOBA'S PARTITIONS",
      fmt::format("at density {:.4g}; chosen on the other prompts, judged on each. lost: of "
                  "recall, or error added, against\nthe best partition of each layer; "
                  "density: what making up for it takes",
                  density));
  const bool any = std::any_of(rankings.begin(), rankings.end(), [density](const auto& ranking) {
    return ranking.density == density;
  });
  if (!any) return out + "in some layer no measured partition goes as low\n";
  Rows rows = {{"rule", "judge", "best of each layer", "", "value", "lost", "density"}};
  for (const PartitionRanking& ranking : rankings) {
    // The pools of the published settings; all of them: --json.
    if (ranking.density != density || ranking.rule == "tau of block" ||
        ranking.rule == "tau of overall") {
      continue;
    }
    for (const auto& [name, cost] :
         {std::pair{"plain cycle", &ranking.cycle}, {"best cycle", &ranking.schedule}}) {
      if (!*cost) {
        rows.push_back({ranking.rule, ranking.judge, text(ranking.best.value),
                        fmt::format("{}: some layer's kind goes no lower", name), "-", "-", "-"});
        continue;
      }
      rows.push_back({ranking.rule, ranking.judge, text(ranking.best.value),
                      fmt::format("{} {}", name, schedule_text(**cost, ranking.partitions)),
                      text((*cost)->value.value), text((*cost)->lost),
                      (*cost)->never > 0 ? fmt::format("never in {} layers", (*cost)->never)
                                         : fmt::format("{:+.3f}", (*cost)->extra_density.value)});
    }
  }
  out += format_text_table(rows);
  for (const char* judge : {"recall", "error"}) {
    if (const PartitionRanking* ranking = find_ranking(rankings, "top-k", judge, density)) {
      out += layers_text(*ranking);
    }
  }
  return out +
         "\nA cycle reads 1D/2D/3D layers of each turn and the shift of its start; FastVideo and "
         "SGLang take one\npartition of each kind and a cycle. A plan of sparsescope may give "
         "every "
         "layer its own.\n";
}

}  // namespace

std::string summary_text(const ProfileSummary& summary, size_t top) {
  std::string out;
  if (summary.key_facts) out += key_facts_text(*summary.key_facts);
  if (summary.head_classes) out += classes_text(*summary.head_classes, top);
  if (summary.key_sets) out += sets_text(*summary.key_sets);
  if (summary.map_sets) out += sets_text(*summary.map_sets);
  if (summary.score_premise) out += premise_text(*summary.score_premise, top);
  if (summary.query_premise) out += queries_text(*summary.query_premise);
  if (summary.recall_errors) out += errors_text(*summary.recall_errors, top);
  if (!summary.partitions.empty()) {
    out += partitions_text(summary.partitions, summary.options.budget);
  }
  for (const MissingFinding& one : summary.missing) {
    out += fmt::format("\nnot told, {}: {}", one.finding, one.reason);
  }
  return out;
}

}  // namespace sparsescope
