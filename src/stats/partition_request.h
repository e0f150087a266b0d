// VMoBA's partitions as the user names them.
#pragma once

#include <string>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

struct MeasuredPartitions {
  std::vector<Partition> partitions;
  std::string remark;  // of "all": which legal ones are left out, and why
};

// "auto" (default_partitions), "none", "all" or "all:BUDGET" (choose_partitions), or partitions
// with blanks between; each must fit the grid. Error(kUsage).
MeasuredPartitions parse_partitions(const std::string& text, const TileGrid& tiles);

}  // namespace sparsescope
