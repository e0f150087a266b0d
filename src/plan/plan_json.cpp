// Version 1 of the plan file, written and read strictly: unknown keys, wrong types and values that
// do not fit the model or the grid are errors. The same rules stand in
// data/schema/plan.schema.json.
#include "core/error.h"
#include "plan/json_place.h"
#include "plan/plan.h"
#include "plan/plan_evidence.h"
#include "plan/plan_names.h"

namespace sparsescope {
namespace {

constexpr std::string_view kFormat = "sparsescope-plan";
constexpr int64_t kVersion = 1;

// --- writing ---

Json to_json(const IndexRange& range) { return Json::array({range.first, range.last}); }
Json to_json(const TileShape& shape) { return Json::array({shape.t, shape.h, shape.w}); }

void write_params(Json& rule, const VsaParams& params) {
  rule["top_k"] = params.top_k;
  if (params.choice != TileChoice::kPooled) rule["choice"] = to_string(params.choice);
}

void write_params(Json& rule, const BsaParams& params) {
  rule["query_keep"] = params.query_keep;
  rule["window"] = params.window == TileShape{0, 0, 0} ? Json("none") : to_json(params.window);
  rule["kv_keep"] = params.kv_keep;
  rule["min_blocks"] = params.min_blocks;
}

void write_params(Json& rule, const VmobaParams& params) {
  rule["partition"] = to_string(params.partition);
  rule["select"] = to_string(params.select);
  if (params.select == VmobaSelect::kTopK) {
    rule["top_k"] = params.top_k;
  } else {
    rule["threshold"] = params.threshold;
  }
  rule["pool"] = to_string(params.pool);
}

Json to_json(const PlanRule& rule) {
  Json json = {{"steps", to_json(rule.steps)},
               {"layers", to_json(rule.layers)},
               {"heads", to_json(rule.heads)}};
  std::visit([&](const auto& params) { write_params(json, params); }, rule.params);
  return json;
}

void write_expected(Json& json, const char* name, const std::optional<Expected>& expected) {
  if (!expected) return;
  json[name] = {{"mean", expected->mean},
                {"low", expected->low},
                {"high", expected->high},
                {"confidence", expected->confidence}};
}

// --- reading ---

Plan::Model read_model(const JsonPlace& place, int64_t num_steps) {
  place.check_keys({"family", "layers", "heads", "head_dim", "checkpoint_hash"},
                   {"low_noise_from_step"});
  Plan::Model model{.family = place.at("family").text(),
                    .layers = place.at("layers").integer(1, kMaxExtent),
                    .heads = place.at("heads").integer(1, kMaxExtent),
                    .head_dim = place.at("head_dim").integer(1, kMaxExtent),
                    .checkpoint_hash = place.at("checkpoint_hash").text(),
                    .low_noise_from_step = {}};
  if (const auto first = place.find("low_noise_from_step")) {
    model.low_noise_from_step = first->integer(0, num_steps);
  }
  return model;
}

std::vector<int64_t> read_indices(const JsonPlace& place, int64_t limit) {
  std::vector<int64_t> result;
  for (const JsonPlace& item : place.items()) {
    const int64_t low = result.empty() ? 0 : result.back() + 1;
    if (low >= limit) item.fail_expected("no further entry");
    result.push_back(item.integer(low, limit - 1));  // ascending, no duplicates
  }
  return result;
}

IndexRange read_range(const JsonPlace& place, int64_t limit) {
  const std::vector<JsonPlace> items = place.items(2);
  IndexRange range;
  range.first = items[0].integer(0, limit - 1);
  range.last = items[1].integer(range.first, limit - 1);
  return range;
}

TileChoice read_choice(const JsonPlace& place) {
  const std::string name = place.text();
  for (const TileChoice choice : {TileChoice::kPooled, TileChoice::kRandom, TileChoice::kOracle}) {
    if (name == to_string(choice)) return choice;
  }
  place.fail_expected("one of pooled, random, row_oracle");
}

VsaParams read_vsa(const JsonPlace& rule, const Plan& plan) {
  rule.check_keys({"steps", "layers", "heads", "top_k"}, {"choice"});
  VsaParams params;
  params.top_k = rule.at("top_k").integer(1, TileGrid(plan.grid, plan.tile).num_tiles());
  if (const auto choice = rule.find("choice")) params.choice = read_choice(*choice);
  return params;
}

TileShape read_window(const JsonPlace& place, const TileShape& tile) {
  if (place.value() == "none") return {0, 0, 0};
  const auto [t, h, w] = place.triple(1, kMaxExtent);
  if (t > tile.t || h > tile.h || w > tile.w) {
    place.fail_expected(fmt::format("\"none\" or extents within the tile {}", to_string(tile)));
  }
  return {t, h, w};
}

BsaParams read_bsa(const JsonPlace& rule, const Plan& plan) {
  rule.check_keys({"steps", "layers", "heads", "query_keep", "window", "kv_keep", "min_blocks"});
  BsaParams params;
  params.query_keep = rule.at("query_keep").number(0, 1);
  if (params.query_keep == 0) rule.at("query_keep").fail_expected("a fraction above 0");
  params.window = read_window(rule.at("window"), plan.tile);
  params.kv_keep = rule.at("kv_keep").number(0, 1);
  if (params.kv_keep == 0) rule.at("kv_keep").fail_expected("a fraction above 0");
  params.min_blocks = rule.at("min_blocks").integer(1, TileGrid(plan.grid, plan.tile).num_tiles());
  return params;
}

VmobaParams read_vmoba(const JsonPlace& rule, const Plan& plan) {
  VmobaParams params;
  params.select = read_select(rule.at("select"));
  const bool by_count = params.select == VmobaSelect::kTopK;
  rule.check_keys({"steps", "layers", "heads", "partition", "select", "pool",
                   by_count ? "top_k" : "threshold"});
  params.partition = read_fitting_partition(rule.at("partition"), plan.grid);
  params.pool = read_pool(rule.at("pool"));
  if (by_count) {
    if (params.pool == VmobaPool::kBlock) {
      rule.at("pool").fail_expected("query_head, head_global or overall with topk");
    }
    const int64_t blocks = partition_blocks(params.partition, plan.grid).num_tiles();
    params.top_k = rule.at("top_k").integer(1, blocks);
  } else {
    params.threshold = rule.at("threshold").number(0, 1);
  }
  return params;
}

PlanRule read_rule(const JsonPlace& place, const Plan& plan) {
  PlanRule rule;
  rule.steps = read_range(place.at("steps"), plan.num_steps);
  rule.layers = read_range(place.at("layers"), plan.model.layers);
  rule.heads = read_range(place.at("heads"), plan.model.heads);
  switch (plan.method) {
    case Method::kVsa:
      rule.params = read_vsa(place, plan);
      break;
    case Method::kBsa:
      rule.params = read_bsa(place, plan);
      break;
    case Method::kVmoba:
      rule.params = read_vmoba(place, plan);
      break;
    case Method::kDense:
      place.fail_expected("no rule in a plan of the method dense");
  }
  return rule;
}

std::optional<Expected> read_expected(const JsonPlace& parent, const char* name, double high) {
  const std::optional<JsonPlace> place = parent.find(name);
  if (!place) return std::nullopt;
  place->check_keys({"mean", "low", "high", "confidence"});
  Expected expected;
  expected.mean = place->at("mean").number(0, high);
  expected.low = place->at("low").number(0, expected.mean);
  expected.high = place->at("high").number(expected.mean, high);
  expected.confidence = place->at("confidence").number(0, 1);
  return expected;
}

}  // namespace

Json plan_to_json(const Plan& plan) {
  Json json = {{"format", kFormat}, {"version", kVersion}};
  json["model"] = {{"family", plan.model.family},
                   {"layers", plan.model.layers},
                   {"heads", plan.model.heads},
                   {"head_dim", plan.model.head_dim},
                   {"checkpoint_hash", plan.model.checkpoint_hash}};
  if (plan.model.low_noise_from_step) {
    json["model"]["low_noise_from_step"] = *plan.model.low_noise_from_step;
  }
  json["steps"] = plan.num_steps;
  json["grid"] = Json::array({plan.grid.t, plan.grid.h, plan.grid.w});
  json["tile"] = to_json(plan.tile);
  json["method"] = to_string(plan.method);
  json["dense"] = {{"steps", plan.dense_steps}, {"layers", plan.dense_layers}};
  json["rules"] = Json::array();
  for (const PlanRule& rule : plan.rules) json["rules"].push_back(to_json(rule));
  json["expected"] = Json::object();
  write_expected(json["expected"], "density", plan.expected_density);
  write_expected(json["expected"], "recall", plan.expected_recall);
  write_expected(json["expected"], "error", plan.expected_error);
  write_expected(json["expected"], "speedup", plan.expected_speedup);
  json["evidence"] = plan.evidence.is_null() ? Json::object() : plan.evidence;
  return json;
}

Plan plan_from_json(const Json& json, const std::string& what) {
  const JsonPlace root(json, what);
  check_format(root, kFormat, kVersion, "plan");
  root.check_keys({"format", "version", "model", "steps", "grid", "tile", "method", "dense",
                   "rules", "expected", "evidence"});
  Plan plan;
  plan.num_steps = root.at("steps").integer(1, kMaxExtent);
  plan.model = read_model(root.at("model"), plan.num_steps);
  const auto [grid_t, grid_h, grid_w] = root.at("grid").triple(1, kMaxExtent);
  plan.grid = {grid_t, grid_h, grid_w};
  const auto [tile_t, tile_h, tile_w] = root.at("tile").triple(1, kMaxExtent);
  plan.tile = {tile_t, tile_h, tile_w};
  plan.method = read_method(root.at("method"));
  const JsonPlace dense = root.at("dense");
  dense.check_keys({"steps", "layers"});
  plan.dense_steps = read_indices(dense.at("steps"), plan.num_steps);
  plan.dense_layers = read_indices(dense.at("layers"), plan.model.layers);
  for (const JsonPlace& rule : root.at("rules").items()) {
    plan.rules.push_back(read_rule(rule, plan));
  }
  const JsonPlace expected = root.at("expected");
  expected.check_keys({}, {"density", "recall", "error", "speedup"});
  plan.expected_density = read_expected(expected, "density", 1.0);
  plan.expected_recall = read_expected(expected, "recall", 1.0);
  plan.expected_error = read_expected(expected, "error", 1e300);
  plan.expected_speedup = read_expected(expected, "speedup", 1e300);
  read_profile_evidence(root.at("evidence"));  // anything else may stand beside it
  plan.evidence = root.at("evidence").value();
  return plan;
}

}  // namespace sparsescope
