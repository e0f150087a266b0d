#include "apps/inspect_cost.h"

#include <fmt/format.h>

#include <array>
#include <span>

#include "bench/text_table.h"

namespace sparsescope {
namespace {

struct Unit {
  double size = 1;
  const char* name = "";
};

constexpr std::array<Unit, 4> kFlopUnits{
    {{1e6, "MFLOP"}, {1e9, "GFLOP"}, {1e12, "TFLOP"}, {1e15, "PFLOP"}}};
constexpr std::array<Unit, 4> kByteUnits{
    {{1, "B"}, {0x1p10, "KiB"}, {0x1p20, "MiB"}, {0x1p30, "GiB"}}};

Unit unit_of(double value, std::span<const Unit> units) {
  Unit fitting = units.front();
  for (const Unit& unit : units) {
    if (value >= unit.size) fitting = unit;
  }
  return fitting;
}

// Aligned columns: 42.90, 12.88, 0.1022.
std::string digits(double value, int significant = 4) {
  if (value == 0) return "0";
  std::string text = fmt::format("{:#.{}g}", value, significant);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string parts_table(const ForwardCost& cost) {
  const Unit unit = unit_of(cost.total_flops(), kFlopUnits);
  std::vector<std::vector<std::string>> rows{{"  part", unit.name, "share"}};
  const auto add = [&](const char* name, double flops, bool counted = true) {
    rows.push_back({fmt::format("  {}", name), digits(flops / unit.size),
                    counted ? percent(flops / cost.total_flops()) : "apart"});
  };
  add("attention Q K^T", cost.attention_flops / 2);
  add("attention P V", cost.attention_flops / 2);
  add("projections q, k, v, out", cost.self_projection_flops);
  add("cross-attention", cost.cross_attention_flops);
  add("feed-forward", cost.feed_forward_flops);
  add("all layers", cost.total_flops());
  add("embeddings, output head", cost.embedding_flops, false);
  return format_text_table(rows);
}

std::string methods_table(const ForwardCost& cost, const std::vector<MethodCost>& methods) {
  const Unit flops = unit_of(cost.total_flops(), kFlopUnits);
  const Unit bytes = unit_of(methods.front().attention.total_bytes(), kByteUnits);
  std::vector<std::vector<std::string>> rows{{"  method", "density", "blocks", "attention",
                                              "selection", "forward", bytes.name, "attention x",
                                              "forward x"}};
  for (const MethodCost& row : methods) {
    rows.push_back(
        {"  " + row.method, fmt::format("{:.4g}", row.density),
         row.blocks > 0 ? fmt::format("{:.4g}", row.blocks) : "-",
         digits(row.attention.attention / flops.size),
         digits(row.attention.selection_flops() / flops.size, 3),
         digits(row.forward_flops / flops.size), digits(row.attention.total_bytes() / bytes.size),
         fmt::format("{:.2f}", row.attention_speedup), fmt::format("{:.2f}", row.forward_speedup)});
  }
  return fmt::format(
             "  {} of all layers, {} that attention moves; x: dense FLOPs over sparse with\n"
             "  selection, a bound on the speed-up\n",
             flops.name, bytes.name) +
         format_text_table(rows);
}

Json parts_json(const ForwardCost& cost) {
  return {{"attention_qk_flops", cost.attention_flops / 2},
          {"attention_pv_flops", cost.attention_flops / 2},
          {"self_projection_flops", cost.self_projection_flops},
          {"cross_attention_flops", cost.cross_attention_flops},
          {"feed_forward_flops", cost.feed_forward_flops}};
}

Json method_json(const MethodCost& row) {
  const AttentionCost& cost = row.attention;
  return {{"method", row.method},
          {"density", row.density},
          {"blocks", row.blocks},
          {"partitions", row.partitions},
          {"attention_flops", cost.attention},
          {"selection_flops", cost.selection_flops()},
          {"forward_flops", row.forward_flops},
          {"bytes_rows", cost.row_bytes},
          {"bytes_keys", cost.key_bytes},
          {"bytes_lists", cost.list_bytes},
          {"bytes_selection", cost.selection_bytes},
          {"attention_speedup_bound", row.attention_speedup},
          {"forward_speedup_bound", row.forward_speedup}};
}

}  // namespace

std::string format_flops(double flops) {
  const Unit unit = unit_of(flops, kFlopUnits);
  return fmt::format("{:.5g} {}", flops / unit.size, unit.name);
}

std::string format_bytes(double bytes) {
  const Unit unit = unit_of(bytes, kByteUnits);
  return fmt::format("{:.2f} {}", bytes / unit.size, unit.name);
}

Json forward_cost_json(const TransformerShape& shape, const TokenGrid& grid,
                       const ForwardCost& cost) {
  Json fields{
      {"grid", {grid.t, grid.h, grid.w}}, {"tokens", cost.tokens}, {"text_rows", shape.text_rows}};
  if (shape.image_rows > 0) fields["image_rows"] = shape.image_rows;
  fields.update({{"total_flops", cost.total_flops()},
                 {"attention_flops", cost.attention_flops},
                 {"rest_flops", cost.rest_flops},
                 {"attention_share", cost.attention_share},
                 {"speedup_limit", cost.speedup_limit()},
                 {"bytes_weights", cost.weight_bytes},
                 {"bytes_qkv_per_layer", cost.qkv_bytes},
                 {"bytes_map_per_head", cost.attention_map_bytes}});
  return fields;
}

Json forward_cost_details_json(const ForwardCost& cost, const std::vector<MethodCost>& methods) {
  Json rows = Json::array();
  for (const MethodCost& row : methods) rows.push_back(method_json(row));
  return {{"parts", parts_json(cost)},
          {"embedding_flops", cost.embedding_flops},
          {"methods", std::move(rows)}};
}

std::string forward_cost_tables(const ForwardCost& cost, const std::vector<MethodCost>& methods) {
  std::string text = fmt::format("\n{}\n{}", parts_table(cost), methods_table(cost, methods));
  text.pop_back();  // printing ends the line
  return text;
}

}  // namespace sparsescope
