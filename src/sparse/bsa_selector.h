// BSA's selection for one (batch, head): kept queries of every tile, key tiles of every query tile
// (scored with the mean of the kept queries), and the source of every pruned query's output.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor_view.h"
#include "kernels/impl.h"
#include "sparse/bsa_options.h"
#include "sparse/tile_lists.h"
#include "sparse/token_layout.h"

namespace sparsescope {

struct BsaSelection {
  TileLists kept;             // [N] ascending slots of the kept queries of each tile
  std::vector<float> scores;  // [N, N] Z
  TileLists lists;            // [N] ascending key tiles
  // [S_video] by raster index: the token (text counted) whose output this video token takes, itself
  // where kept; -1: output 0.
  std::vector<int32_t> restore_from;
};

// Error(kUsage) for options that the layout cannot meet.
BsaSelection select_bsa(const AttentionTensor& q, const AttentionTensor& k, int64_t batch,
                        int64_t head, float scale, const TokenLayout& layout,
                        const BsaOptions& options, Impl impl);

}  // namespace sparsescope
