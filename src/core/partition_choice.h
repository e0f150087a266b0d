// Which of all legal partitions of a grid are measured where not all can be.
//
// A partition costs a gate a query for each of its blocks, and key cells where it cuts those that
// are there: a set uses as much as it has cells and blocks. What the default candidates use enters
// first, then partitions like the published ones, of at least 7 blocks of at least 96 tokens, then
// the others. Of each of these the one that adds least is next, the earlier of equal ones, until it
// exceeds the budget. Blocks below min_block_tokens never enter.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

// Blocks of fewer tokens are no candidates.
int64_t min_block_tokens(const TokenGrid& grid);

// Each way to cut the grid into two blocks or more once: temporal:n for all n, spatial and st where
// they divide the grid; a 3D partition that does not cut time is the 2D one, one that cuts nothing
// else a temporal one.
std::vector<Partition> legal_partitions(const TokenGrid& grid);

struct PartitionChoice {
  std::vector<Partition> chosen;  // in the order of legal_partitions
  int64_t legal = 0;
  int64_t of_small_blocks = 0, beyond_budget = 0;  // left out
  int64_t cells = 0, blocks = 0;                   // of the chosen ones
  int64_t budget = 0;                              // of cells and blocks
};

// No budget: what the default candidates use, and a fifth of the grid's tokens. No partition of
// more than max_blocks blocks is chosen.
PartitionChoice choose_partitions(const TileGrid& tiles, int64_t max_blocks,
                                  std::optional<int64_t> budget);

}  // namespace sparsescope
