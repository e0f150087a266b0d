#include "summary/summary_json.h"

#include <cmath>

#include "stats/profile_store.h"

namespace sparsescope {
namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

// Of the parts; declared here, for list() to know them.
Json to_json(const ClassifiedHead& part);
Json to_json(const SetOverlap& part);
Json to_json(const MomentSpread& part);
Json to_json(const CutLine& part);
Json to_json(const LayerPremise& part);
Json to_json(const HeadPremise& part);
Json to_json(const WindowCosine& part);
Json to_json(const LayerAlikeness& part);
Json to_json(const RankedHead& part);
Json to_json(const RecallErrorLine& part);
Json to_json(const Fact& part);
Json to_json(const CoverageLine& part);
Json to_json(const LayerFacts& part);
Json to_json(const SpreadLine& part);

template <typename Items, typename ToJson>
Json list(const Items& items, const ToJson& item_to_json) {
  Json result = Json::array();
  for (const auto& item : items) result.push_back(item_to_json(item));
  return result;
}

template <typename Items>
Json list(const Items& items) {
  return list(items, [](const auto& item) { return to_json(item); });
}

Json numbers(const std::vector<double>& values) {
  return list(values, [](double value) { return number(value); });
}

Json by_class(const ClassShares& shares) {
  Json result = Json::object();
  for (size_t i = 0; i < shares.size(); ++i) {
    result[std::string(to_string(static_cast<HeadClass>(i)))] = to_json(shares[i]);
  }
  return result;
}

Json to_json(const ClassifiedHead& head) {
  return {{"layer", head.layer},
          {"head", head.head},
          {"class", to_string(head.masses.head_class)},
          {"spatial", head.masses.spatial},
          {"temporal", head.masses.temporal},
          {"local_3d", head.masses.local_3d},
          {"sink", head.masses.sink},
          {"by_step", list(head.by_step, [](HeadClass one) { return Json(to_string(one)); })},
          {"prompts_agreeing", head.agreeing}};
}

Json to_json(const SetOverlap& overlap) {
  return {{"between", overlap.between},
          {"fraction", overlap.fraction},
          {"kept", overlap.kept},
          {"chance", overlap.chance},
          {"pairs", overlap.pairs},
          {"jaccard", to_json(overlap.jaccard)},
          {"excess", to_json(overlap.excess)},
          {"by_layer", list(overlap.by_layer)}};
}

Json to_json(const MomentSpread& moment) {
  return {{"name", moment.name},
          {"mean", to_json(moment.mean)},
          {"heads_5", number(moment.low)},
          {"heads_95", number(moment.high)}};
}

Json to_json(const CutLine& cut) {
  return {{"kappa", cut.kappa},
          {"density", to_json(cut.density)},
          {"heads_5", number(cut.low)},
          {"heads_95", number(cut.high)},
          {"gaussian_density", cut.gaussian_density},
          {"gaussian_shift", number(cut.gaussian_shift)},
          {"shift", to_json(cut.shift)},
          {"predicted_shift", number(cut.predicted)},
          {"mean_size", number(cut.size)},
          {"mean_rest", number(cut.rest)},
          {"heads_without", cut.without}};
}

Json to_json(const LayerPremise& layer) {
  return {{"layer", layer.layer},
          {"skewness", to_json(layer.skewness)},
          {"excess_kurtosis", to_json(layer.excess_kurtosis)},
          {"density", to_json(layer.density)},
          {"shift", to_json(layer.shift)}};
}

Json to_json(const HeadPremise& head) {
  return {{"layer", head.layer},
          {"head", head.head},
          {"skewness", head.skewness},
          {"excess_kurtosis", head.excess_kurtosis},
          {"density", head.density},
          {"shift", number(head.shift)},
          {"predicted_shift", head.predicted}};
}

Json to_json(const WindowCosine& window) {
  return {{"window", window.window},
          {"of_tile", window.of_tile},
          {"mean", to_json(window.mean)},
          {"least", number(window.least)},
          {"least_layer", window.least_layer},
          {"least_head", window.least_head},
          {"heads_alike", number(window.alike)}};
}

Json to_json(const LayerAlikeness& layer) {
  return {{"layer", layer.layer},
          {"cosines", list(layer.cosines)},
          {"row_overlap", to_json(layer.row_overlap)}};
}

Json to_json(const RankedHead& head) {
  return {{"layer", head.layer},
          {"head", head.head},
          {"missed_mass", head.missed},
          {"error", head.error},
          {"missed_rank", head.missed_rank},
          {"error_rank", head.error_rank}};
}

Json to_json(const RecallErrorLine& line) {
  return {{"method", line.method},
          {"setting", line.setting},
          {"threshold", line.is_threshold},
          {"places", line.places},
          {"missed_mass", to_json(line.missed)},
          {"error", to_json(line.error)},
          {"missed_with_error", to_json(line.over_all)},
          {"missed_with_error_within_layers", to_json(line.within_layers)},
          {"error_with_effect", to_json(line.error_effect)},
          {"missed_with_effect", to_json(line.missed_effect)},
          {"heads", list(line.heads)}};
}

Json schedule_json(const std::optional<ScheduleCost>& cost,
                   const std::vector<Partition>& partitions) {
  if (!cost) return nullptr;
  return {{"temporal_layer", cost->schedule.temporal_layers},
          {"spatial_layer", cost->schedule.spatial_layers},
          {"st_layer", cost->schedule.st_layers},
          {"first_full_layer", cost->schedule.first_full_layer},
          {"partitions", list(cost->partitions,
                              [&](int64_t one) {
                                return one < 0
                                           ? Json(nullptr)
                                           : Json(to_string(partitions[static_cast<size_t>(one)]));
                              })},
          {"value", to_json(cost->value)},
          {"lost", to_json(cost->lost)},
          {"extra_density", to_json(cost->extra_density)},
          {"layers_never_as_good", cost->never}};
}

Json to_json(const Fact& fact) {
  return {{"name", fact.name},
          {"unit", fact.unit},
          {"mean", to_json(fact.mean)},
          {"heads_5", number(fact.low)},
          {"heads_95", number(fact.high)}};
}

Json to_json(const CoverageLine& line) {
  return {{"fraction", line.fraction},
          {"kept", line.kept},
          {"chance", line.chance},
          {"row", to_json(line.row)},
          {"tile", to_json(line.tile)},
          {"pooled", to_json(line.pooled)},
          {"sharing", to_json(line.sharing)},
          {"ranking", to_json(line.ranking)}};
}

Json to_json(const LayerFacts& layer) {
  return {{"layer", layer.layer},
          {"entropy_over_ln_s", to_json(layer.entropy)},
          {"coverage_row", to_json(layer.row)},
          {"coverage_tile", to_json(layer.tile)},
          {"coverage_pooled", to_json(layer.pooled)},
          {"row_overlap", to_json(layer.row_overlap)}};
}

Json to_json(const SpreadLine& line) {
  const Spreads& spreads = line.spreads;
  Json json = {{"name", line.name},
               {"deviation_along",
                {{"prompts", number(spreads.prompts)},
                 {"branches", number(spreads.branches)},
                 {"steps", number(spreads.steps)},
                 {"heads", number(spreads.heads)},
                 {"layers", number(spreads.layers)}}},
               {"variance_shares", nullptr}};
  if (line.shares) {
    const VarianceShares& shares = *line.shares;
    json["variance_shares"] = {{"deviation", shares.deviation},   {"layers", shares.layers},
                               {"heads", shares.heads},           {"steps", shares.steps},
                               {"head_steps", shares.head_steps}, {"branches", shares.branches},
                               {"prompts", shares.prompts},       {"rest", shares.rest}};
  }
  return json;
}

}  // namespace

Json to_json(const Measured& measured) {
  Json low = nullptr, high = nullptr;
  if (measured.interval) {
    low = number(measured.interval->low);
    high = number(measured.interval->high);
  }
  return {{"mean", number(measured.value)},
          {"low", low},
          {"high", high},
          {"prompts", measured.prompts}};
}

Json to_json(const KeyFacts& facts) {
  return {{"facts", list(facts.facts)},
          {"coverage", list(facts.coverage)},
          {"budget", facts.budget},
          {"layers", list(facts.layers)},
          {"sinks",
           {{"kept", facts.sinks.kept},
            {"chance", facts.sinks.chance},
            {"share", to_json(facts.sinks.share)},
            {"tile", facts.sinks.tile},
            {"place", facts.sinks.place},
            {"heads", facts.sinks.heads},
            {"heads_chance", facts.sinks.heads_chance}}},
          {"spreads", list(facts.spreads)},
          {"sampling",
           {{"rows_per_tile", facts.sampling.rows_per_tile},
            {"rows", facts.sampling.rows},
            {"largest_standard_error", facts.sampling.largest_error},
            {"error_tiles", facts.sampling.error_tiles}}}};
}

Json to_json(const ClassTable& table) {
  Json counts = Json::object();
  for (size_t i = 0; i < table.counts.size(); ++i) {
    counts[std::string(to_string(static_cast<HeadClass>(i)))] = table.counts[i];
  }
  return {{"budget", table.budget},
          {"counts", counts},
          {"shares", by_class(table.shares)},
          {"steps", table.steps},
          {"shares_by_step",
           list(table.shares_by_step, [](const ClassShares& one) { return by_class(one); })},
          {"heads_changing", table.changing},
          {"heads", list(table.heads)}};
}

Json to_json(const SetStability& stability) {
  return {{"source", stability.source == SetSource::kMaps ? "maps" : "key_mass"},
          {"overlaps", list(stability.overlaps)},
          {"steps", stability.steps},
          {"jaccard_between_steps", numbers(stability.between_steps)}};
}

Json to_json(const ScorePremise& premise) {
  return {{"kappa", premise.kappa},
          {"moments", list(premise.moments)},
          {"cuts", list(premise.cuts)},
          {"layers", list(premise.layers)},
          {"heads", list(premise.heads)}};
}

Json to_json(const QueryPremise& premise) {
  return {{"windows", list(premise.windows)},
          {"row_overlap", to_json(premise.row_overlap)},
          {"least_overlap", number(premise.least_overlap)},
          {"least_layer", premise.least_layer},
          {"least_head", premise.least_head},
          {"layers", list(premise.layers)}};
}

Json to_json(const RecallErrors& errors) {
  return {{"budget", errors.budget}, {"lines", list(errors.lines)}};
}

Json to_json(const PartitionRanking& ranking) {
  const auto name = [&](int64_t one) {
    return one < 0 ? Json(nullptr) : Json(to_string(ranking.partitions[static_cast<size_t>(one)]));
  };
  return {{"rule", ranking.rule},
          {"judge", ranking.judge},
          {"density", ranking.density},
          {"partitions",
           list(ranking.partitions, [](const Partition& one) { return Json(to_string(one)); })},
          {"layers", list(ranking.layers,
                          [&](const LayerPartitions& layer) {
                            return Json{{"layer", layer.layer},
                                        {"values", list(layer.values)},
                                        {"best", name(layer.best)},
                                        {"prompts_agreeing", layer.agreeing},
                                        {"in_cycle", name(layer.in_cycle)}};
                          })},
          {"agreeing_chance", ranking.chance},
          {"best", to_json(ranking.best)},
          {"cycle", schedule_json(ranking.cycle, ranking.partitions)},
          {"schedule", schedule_json(ranking.schedule, ranking.partitions)}};
}

Json summary_to_json(const ProfileSummary& summary, const Profile& profile,
                     const std::string& file) {
  Json findings = Json::object();
  const auto add = [&](const char* name, const auto& finding) {
    if (finding) findings[name] = to_json(*finding);
  };
  add("key_facts", summary.key_facts);
  add("head_classes", summary.head_classes);
  add("set_stability", summary.key_sets);
  add("map_stability", summary.map_sets);
  add("score_premise", summary.score_premise);
  add("query_premise", summary.query_premise);
  add("recall_errors", summary.recall_errors);
  if (!summary.partitions.empty()) findings["partitions"] = list(summary.partitions);
  return {{"format", "sparsescope-summary"},
          {"version", 1},
          {"profile",
           {{"file", file},
            {"checkpoint_hash", profile.manifest.value("checkpoint_hash", Json(nullptr))},
            {"grid", to_string(profile.grid)},
            {"tile", to_string(profile.tile)},
            {"tiles", TileGrid(profile.grid, profile.tile).num_tiles()},
            {"prompts", recorded_prompts(profile).size()},
            {"branches", profile.branches},
            {"steps", recorded_steps(profile)},
            {"layers", profile.layers},
            {"heads", profile.heads}}},
          {"confidence", summary.options.confidence},
          {"budget", summary.options.budget},
          {"findings", findings},
          {"missing", list(summary.missing, [](const MissingFinding& one) {
             return Json{{"finding", one.finding}, {"reason", one.reason}};
           })}};
}

}  // namespace sparsescope
