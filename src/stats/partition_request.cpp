#include "stats/partition_request.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/parse_numbers.h"
#include "core/partition_choice.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

// text behind "all": "" or ":BUDGET"
MeasuredPartitions all_within_budget(std::string_view text, const TileGrid& tiles) {
  std::optional<int64_t> budget;
  if (!text.empty()) budget = parse_integer(text.substr(1), "--partitions all:BUDGET", 1);
  const PartitionChoice choice = choose_partitions(tiles, kMaxRankedRows, budget);
  return {choice.chosen,
          fmt::format("{} of {} legal partitions, of {} cells and {} blocks; left out: {} with "
                      "blocks of fewer than {} tokens, {} beyond the budget of {} cells and blocks",
                      choice.chosen.size(), choice.legal, choice.cells, choice.blocks,
                      choice.of_small_blocks, min_block_tokens(tiles.grid()), choice.beyond_budget,
                      choice.budget)};
}

std::vector<Partition> named_partitions(const std::string& text, const TokenGrid& grid) {
  std::vector<Partition> partitions;
  std::istringstream pieces(text);
  for (std::string piece; pieces >> piece;) {
    const Partition partition = parse_partition(piece);
    partition_blocks(partition, grid);
    SPARSESCOPE_CHECK(
        ErrorKind::kUsage,
        std::find(partitions.begin(), partitions.end(), partition) == partitions.end(),
        "--partitions: {} stands twice", piece);
    partitions.push_back(partition);
  }
  return partitions;
}

}  // namespace

MeasuredPartitions parse_partitions(const std::string& text, const TileGrid& tiles) {
  if (text == "auto") return {default_partitions(tiles.grid()), ""};
  if (text == "none") return {};
  constexpr std::string_view kAll = "all";
  if (text == kAll || text.starts_with("all:")) {
    return all_within_budget(std::string_view(text).substr(kAll.size()), tiles);
  }
  return {named_partitions(text, tiles.grid()), ""};
}

}  // namespace sparsescope
