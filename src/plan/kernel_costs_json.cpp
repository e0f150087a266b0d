// Version 1 of the costs file, written and read strictly. The same rules stand in
// data/schema/costs.schema.json.
#include "core/error.h"
#include "plan/json_place.h"
#include "plan/kernel_costs.h"
#include "plan/plan_names.h"

namespace sparsescope {
namespace {

constexpr std::string_view kFormat = "sparsescope-costs";
constexpr int64_t kVersion = 1;
constexpr double kMostMs = 1e9;
constexpr int64_t kMostThreads = 1 << 16;

// --- writing ---

void write_kind(Json& json, const VsaParams&) { json["method"] = to_string(Method::kVsa); }

void write_kind(Json& json, const BsaParams& params) {
  json["method"] = to_string(Method::kBsa);
  json["query_keep"] = params.query_keep;
}

void write_kind(Json& json, const VmobaParams& params) {
  json["method"] = to_string(Method::kVmoba);
  json["partition"] = to_string(params.partition);
  json["select"] = to_string(params.select);
  json["pool"] = to_string(params.pool);
}

Json to_json(const CostSeries& series) {
  Json json;
  std::visit([&](const auto& kind) { write_kind(json, kind); }, series.kind);
  Json& points = json["points"] = Json::array();
  for (const CostPoint& point : series.points) {
    points.push_back({{"density", point.density},
                      {"selection_ms", point.selection_ms},
                      {"kernel_ms", point.kernel_ms},
                      {"spread_ms", point.spread_ms}});
  }
  return json;
}

// --- reading ---

CostPoint read_point(const JsonPlace& place) {
  place.check_keys({"density", "selection_ms", "kernel_ms", "spread_ms"});
  return {.density = place.at("density").number(0, 1),
          .selection_ms = place.at("selection_ms").number(0, kMostMs),
          .kernel_ms = place.at("kernel_ms").number(0, kMostMs),
          .spread_ms = place.at("spread_ms").number(0, kMostMs)};
}

MethodParams read_kind(const JsonPlace& place, const TokenGrid& grid) {
  switch (read_method(place.at("method"))) {
    case Method::kVsa:
      place.check_keys({"method", "points"});
      return VsaParams{};
    case Method::kBsa: {
      place.check_keys({"method", "query_keep", "points"});
      BsaParams params;
      params.query_keep = place.at("query_keep").number(0, 1);
      return params;
    }
    case Method::kVmoba: {
      place.check_keys({"method", "partition", "select", "pool", "points"});
      return VmobaParams{.partition = read_fitting_partition(place.at("partition"), grid),
                         .select = read_select(place.at("select")),
                         .pool = read_pool(place.at("pool"))};
    }
    case Method::kDense:
      break;
  }
  place.at("method").fail_expected("vsa, bsa or vmoba");
}

CostSeries read_series(const JsonPlace& place, const KernelCosts& costs) {
  CostSeries series{.kind = read_kind(place, costs.grid), .points = {}};
  for (const CostSeries& other : costs.series) {
    if (same_kind(other.kind, series.kind)) place.fail_expected("one series of each kind");
  }
  for (const JsonPlace& point : place.at("points").items()) {
    series.points.push_back(read_point(point));
  }
  if (series.points.empty()) place.at("points").fail_expected("at least one point");
  return series;
}

void read_shape(const JsonPlace& place, KernelCosts& costs) {
  place.check_keys({"heads", "head_dim", "grid", "tile", "prefix", "suffix", "dtype"});
  costs.heads = place.at("heads").integer(1, kMaxExtent);
  costs.head_dim = place.at("head_dim").integer(1, kMaxExtent);
  const auto [grid_t, grid_h, grid_w] = place.at("grid").triple(1, kMaxExtent);
  costs.grid = {grid_t, grid_h, grid_w};
  const auto [tile_t, tile_h, tile_w] = place.at("tile").triple(1, kMaxExtent);
  costs.tile = {tile_t, tile_h, tile_w};
  costs.prefix = place.at("prefix").integer(0, kMaxExtent);
  costs.suffix = place.at("suffix").integer(0, kMaxExtent);
  costs.dtype = place.at("dtype").text();
}

}  // namespace

Json costs_to_json(const KernelCosts& costs) {
  Json json = {{"format", kFormat}, {"version", kVersion}};
  json["shape"] = {{"heads", costs.heads},
                   {"head_dim", costs.head_dim},
                   {"grid", {costs.grid.t, costs.grid.h, costs.grid.w}},
                   {"tile", {costs.tile.t, costs.tile.h, costs.tile.w}},
                   {"prefix", costs.prefix},
                   {"suffix", costs.suffix},
                   {"dtype", costs.dtype}};
  json["threads"] = costs.threads;
  json["repeats"] = costs.repeats;
  json["inputs"] = costs.inputs;
  json["command_line"] = costs.command_line;
  json["machine"] = costs.machine;
  json["dense_ms"] = costs.dense_ms;
  Json& series = json["series"] = Json::array();
  for (const CostSeries& one : costs.series) series.push_back(to_json(one));
  return json;
}

KernelCosts costs_from_json(const Json& json, const std::string& what) {
  const JsonPlace root(json, what);
  check_format(root, kFormat, kVersion, "costs");
  root.check_keys({"format", "version", "shape", "threads", "repeats", "inputs", "command_line",
                   "machine", "dense_ms", "series"});
  KernelCosts costs;
  read_shape(root.at("shape"), costs);
  costs.threads = static_cast<int>(root.at("threads").integer(1, kMostThreads));
  costs.repeats = static_cast<int>(root.at("repeats").integer(1, kMaxExtent));
  costs.inputs = root.at("inputs").text();
  costs.command_line = root.at("command_line").text();
  for (const char* name : {"cpu", "kernels"}) root.at("machine").at(name).text();
  costs.machine = root.at("machine").value();
  costs.dense_ms = root.at("dense_ms").number(0, kMostMs);
  if (costs.dense_ms == 0) root.at("dense_ms").fail_expected("a time above 0");
  for (const JsonPlace& place : root.at("series").items()) {
    costs.series.push_back(read_series(place, costs));
  }
  return costs;
}

}  // namespace sparsescope
