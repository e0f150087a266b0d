#include "sparse/block_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace sparsescope {
namespace {

// Blocks that each row attends to, text aside; -1 where a row is not computed. [B * H][S]
std::vector<std::vector<int32_t>> list_lengths(const BlockPlan& plan) {
  std::vector<std::vector<int32_t>> lengths(plan.batch * plan.heads,
                                            std::vector<int32_t>(plan.tokens(), -1));
  const int64_t num_blocks = TileGrid(plan.grid, plan.block).num_tiles();
  const BlockLists& lists = plan.lists;
  for (const SparseStrand& strand : lists.strands) {
    std::vector<int32_t>& of_head = lengths[strand.batch * plan.heads + strand.head];
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = lists.items[i];
      const auto ids = lists.range_ids.begin() + item.first_range;
      const auto blocks = static_cast<int32_t>(std::count_if(
          ids, ids + item.num_ranges, [&](int32_t range) { return range < num_blocks; }));
      for (int32_t r = 0; r < item.num_rows; ++r) {
        int32_t& length = of_head[lists.rows[item.first_row + r]];
        length = std::max(length, 0) + blocks;
      }
    }
  }
  return lengths;
}

HeadPlanSummary summarize_lengths(const BlockPlan& plan, const std::vector<int32_t>& lengths) {
  HeadPlanSummary summary;
  summary.shortest = std::numeric_limits<int64_t>::max();
  int64_t total = 0;
  for (int64_t i = 0; i < plan.grid.tokens(); ++i) {
    const int64_t length = lengths[plan.prefix + i];
    if (length < 0) continue;
    ++summary.kept_rows;
    summary.shortest = std::min(summary.shortest, length);
    summary.longest = std::max(summary.longest, length);
    total += length;
  }
  if (summary.kept_rows == 0) summary.shortest = 0;
  summary.mean =
      static_cast<double>(total) / static_cast<double>(std::max<int64_t>(1, summary.kept_rows));
  return summary;
}

}  // namespace

std::vector<HeadPlanSummary> summarize_plan(const BlockPlan& plan) {
  const std::vector<double> density = plan.lists.density(plan.batch, plan.heads, plan.tokens());
  const std::vector<std::vector<int32_t>> lengths = list_lengths(plan);
  std::vector<HeadPlanSummary> heads;
  for (int64_t i = 0; i < plan.batch * plan.heads; ++i) {
    heads.push_back(summarize_lengths(plan, lengths[i]));
    heads.back().batch = i / plan.heads;
    heads.back().head = i % plan.heads;
    heads.back().density = density[i];
  }
  for (const SparseStrand& strand : plan.lists.strands) {
    ++heads[strand.batch * plan.heads + strand.head].strands;
  }
  return heads;
}

std::string plan_to_text(const BlockPlan& plan) {
  const TileGrid blocks(plan.grid, plan.block);
  std::string text =
      fmt::format("{} plan: grid {}, {} blocks of {}, {} text tokens, batch {}, {} heads\n",
                  to_string(plan.method), to_string(plan.grid), blocks.num_tiles(),
                  to_string(plan.block), plan.prefix + plan.suffix, plan.batch, plan.heads);
  text += fmt::format("{:>5} {:>5} {:>8} {:>8} {:>9} {:>6} {:>9} {:>8}\n", "batch", "head",
                      "density", "rows", "shortest", "mean", "longest", "strands");
  for (const HeadPlanSummary& head : summarize_plan(plan)) {
    text += fmt::format("{:>5} {:>5} {:>8.4f} {:>8} {:>9} {:>6.1f} {:>9} {:>8}\n", head.batch,
                        head.head, head.density, head.kept_rows, head.shortest, head.mean,
                        head.longest, head.strands);
  }
  return text;
}

Json plan_summary_json(const BlockPlan& plan) {
  Json heads = Json::array();
  for (const HeadPlanSummary& head : summarize_plan(plan)) {
    heads.push_back({{"batch", head.batch},
                     {"head", head.head},
                     {"density", head.density},
                     {"rows", head.kept_rows},
                     {"list_shortest", head.shortest},
                     {"list_mean", head.mean},
                     {"list_longest", head.longest},
                     {"strands", head.strands}});
  }
  return {{"method", to_string(plan.method)},
          {"grid", to_string(plan.grid)},
          {"block", to_string(plan.block)},
          {"blocks", TileGrid(plan.grid, plan.block).num_tiles()},
          {"heads", heads}};
}

std::vector<double> block_densities(const BlockPlan& plan, int64_t batch, int64_t head) {
  const TileGrid blocks(plan.grid, plan.block);
  const int64_t num_blocks = blocks.num_tiles();
  const BlockLists& lists = plan.lists;
  std::vector<double> rows(num_blocks * num_blocks, 0.0);  // of i that attend j
  for (const SparseStrand& strand : lists.strands) {
    if (strand.batch != batch || strand.head != head) continue;
    for (int32_t i = strand.first_item; i < strand.first_item + strand.num_items; ++i) {
      const SparseItem& item = lists.items[i];
      for (int32_t r = 0; r < item.num_rows; ++r) {
        const int64_t raster = lists.rows[item.first_row + r] - plan.prefix;
        if (raster < 0 || raster >= plan.grid.tokens()) continue;
        const int64_t query_block = blocks.tile_of_token(raster);
        for (int32_t n = 0; n < item.num_ranges; ++n) {
          const int32_t range = lists.range_ids[item.first_range + n];
          if (range < num_blocks) ++rows[query_block * num_blocks + range];
        }
      }
    }
  }
  for (int64_t i = 0; i < num_blocks; ++i) {
    const auto size = static_cast<double>(blocks.size(i));
    for (int64_t j = 0; j < num_blocks; ++j) rows[i * num_blocks + j] /= size;
  }
  return rows;
}

}  // namespace sparsescope
