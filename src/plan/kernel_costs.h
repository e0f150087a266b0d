// What attention by the settings of sparse methods costs in time, as measured: calls of one shape
// on one machine, all heads at one setting, selection included, beside the same calls with dense
// attention. JSON, version 1 (data/schema/costs.schema.json).
//
// Settings of one kind share a series: a method's; BSA's with its share of the queries; VMoBA's
// with partition, rule and pool. Within a series time depends on the density alone. Points are
// medians of interleaved runs; cost_lines.h fits them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace sparsescope {

struct CostPoint {
  double density = 1.0;       // computed pairs over all pairs, as it came out
  double selection_ms = 0.0;  // pooling, scores, lists, restore
  double kernel_ms = 0.0;
  double spread_ms = 0.0;  // of their sum: from its lower to its upper quartile
};

struct CostSeries {
  MethodParams kind;  // what fixes the density (top_k, kv_keep, threshold) means nothing
  std::vector<CostPoint> points;
};

struct KernelCosts {
  int64_t heads = 1, head_dim = 1;
  TokenGrid grid;
  TileShape tile;
  int64_t prefix = 0, suffix = 0;  // text tokens
  std::string dtype;               // of q, k and v: "fp32"
  int threads = 1;
  int repeats = 1;
  std::string inputs;  // what q, k and v were
  std::string command_line;
  Json machine = Json::object();  // with the texts "cpu" and "kernels"
  double dense_ms = 0.0;
  std::vector<CostSeries> series;
};

Method method_of(const MethodParams& params);
// Whether both settings are of one kind.
bool same_kind(const MethodParams& a, const MethodParams& b);
std::string kind_name(const MethodParams& params);  // "vmoba st:2,4,4 threshold head_global"

// The same with the time of every sparse setting multiplied.
KernelCosts scaled(KernelCosts costs, double factor);

Json costs_to_json(const KernelCosts& costs);
// Error(kData) names the place (JSON pointer), what was expected and what was found; an unknown
// version is Error(kUnsupported).
KernelCosts costs_from_json(const Json& json, const std::string& what);
KernelCosts read_costs(const std::filesystem::path& path);
void write_costs(const std::filesystem::path& path, const KernelCosts& costs, bool replace);

}  // namespace sparsescope
