// BSA's selection: kept queries of every tile, key tiles of every query tile (scored with the mean
// of the kept queries), and the source of every pruned query's output.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "sparse/bsa_options.h"
#include "sparse/tile_lists.h"
#include "sparse/tile_scores.h"

namespace sparsescope {

// Of one (batch, head).
struct BsaSelection {
  TileLists kept;   // [N] ascending slots of the kept queries of each tile
  TileLists lists;  // [N] ascending key tiles
  // [S_video] by raster index: the token (text counted) whose output this video token takes, itself
  // where kept; -1: output 0.
  std::vector<int32_t> restore_from;
};

struct BsaHead {
  int64_t batch = 0, head = 0;
  BsaOptions options;
};

// Error(kUsage) for options that the layout cannot meet.
void check_bsa_options(const TokenLayout& layout, const BsaOptions& options);
std::vector<BsaSelection> select_bsa(const TileSelectorCall& call, std::span<const BsaHead> heads,
                                     ThreadPool& pool);

}  // namespace sparsescope
