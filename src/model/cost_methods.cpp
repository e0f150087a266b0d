#include "model/cost_methods.h"

#include <fmt/ranges.h>

#include <map>

namespace sparsescope {
namespace {

constexpr double kBsaQueryKeep = 0.5;

struct Cycle {
  double blocks = 0;         // mean over the partitions
  double least_density = 1;  // every query its own block alone
  std::string partitions;    // none where the grid cannot be cut
};

Cycle vmoba_cycle(const TokenGrid& grid, double density) {
  struct Choice {
    std::string name;
    double blocks = 0;
  };
  std::map<PartitionKind, Choice> choices;
  for (const Partition& partition : default_partitions(grid)) {
    const auto blocks = static_cast<double>(partition_blocks(partition, grid).num_tiles());
    Choice& choice = choices[partition.kind];
    const bool fits = blocks * density >= 1;
    const bool fitted = choice.blocks * density >= 1;
    const bool better = fits && fitted ? blocks < choice.blocks : blocks > choice.blocks;
    if (better) choice = {to_string(partition), blocks};
  }
  Cycle cycle;
  if (choices.empty()) return cycle;
  const auto kinds = static_cast<double>(choices.size());
  std::vector<std::string> names;
  cycle.least_density = 0;
  for (const auto& [kind, choice] : choices) {
    cycle.blocks += choice.blocks / kinds;
    cycle.least_density += 1 / choice.blocks / kinds;
    names.push_back(choice.name);
  }
  cycle.partitions = fmt::format("{}", fmt::join(names, " "));
  return cycle;
}

}  // namespace

std::vector<MethodCost> method_costs(const TransformerShape& shape, const TokenGrid& grid,
                                     const std::vector<double>& densities) {
  const ForwardCost forward = forward_cost(shape, grid);
  const HeadShape head{static_cast<double>(forward.tokens), static_cast<double>(shape.head_dim)};
  const auto heads = static_cast<double>(shape.layers * shape.heads);
  const double gate_width = shape.vsa_gate ? static_cast<double>(shape.width()) : 0.0;
  const auto tiles = static_cast<double>(TileGrid(grid, TileShape{}).num_tiles());

  std::vector<MethodCost> rows;
  const auto add = [&](const char* method, double density, const AttentionCost& one_head) {
    MethodCost row{
        .method = method, .density = density, .partitions = {}, .attention = heads * one_head};
    row.forward_flops = forward.rest_flops + row.attention.total_flops();
    row.attention_speedup = forward.attention_flops / row.attention.total_flops();
    row.forward_speedup = forward.total_flops() / row.forward_flops;
    rows.push_back(row);
  };
  add("dense", 1, dense_attention_cost(head));
  for (const double density : densities) {
    if (tiles * density < 1) continue;
    add("vsa", density, vsa_attention_cost(head, density, tiles, gate_width));
    rows.back().blocks = tiles;
  }
  for (const double density : densities) {
    // Above the share of kept queries none can be pruned.
    const double query_keep = density <= kBsaQueryKeep ? kBsaQueryKeep : 1.0;
    if (tiles * density < query_keep) continue;
    add("bsa", density, bsa_attention_cost(head, density, tiles, query_keep));
    rows.back().blocks = tiles;
  }
  for (const double density : densities) {
    const Cycle cycle = vmoba_cycle(grid, density);
    if (cycle.partitions.empty() || density < cycle.least_density) continue;
    add("vmoba", density, vmoba_attention_cost(head, density, cycle.blocks));
    rows.back().blocks = cycle.blocks;
    rows.back().partitions = cycle.partitions;
  }
  return rows;
}

}  // namespace sparsescope
