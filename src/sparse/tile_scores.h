// What the tile selectors look at: means over the valid tokens of each tile, and the scores between
// them,  Z[i, j] = scale * mean(q in i) . mean(k in j). Work is shared out by runs of tiles, so
// that a single head keeps all threads busy.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "sparse/tile_lists.h"
#include "sparse/token_layout.h"
#include "sparse/token_rows.h"

namespace sparsescope {

// What the selection of one call shares among its heads.
struct TileSelectorCall {
  AttentionTensor q, k;  // [B, H, S, D]
  float scale = 1.0f;
  const TokenLayout* layout = nullptr;
  Impl impl = Impl::kReference;
  float* scores = nullptr;  // [heads selected, N, N] Z, written where it is given
};

// mean [D] of the rows, of which there is one at least. fp32 sums over runs of 64 rows, added up in
// fp64: blocks of a partition hold thousands of tokens.
void mean_row(const TokenRowKernels& kernels, TokenRows rows, float* mean);

// [N, D] of one (batch, head); text is left out.
std::vector<float> tile_means(Impl impl, const AttentionTensor& x, int64_t batch, int64_t head,
                              const TokenLayout& layout);

// Query tiles [first, last) of one head: the index-th run of its tiles.
struct TileRun {
  int64_t head = 0;  // of those selected
  int64_t index = 0;
  int64_t first = 0, last = 0;
};
// Tiles of a run in which rows are read.
inline constexpr int64_t kReadTiles = 16;
// body(run, worker) for all tiles of num_heads heads, in parallel.
void for_tile_runs(ThreadPool& pool, int64_t num_heads, int64_t num_tiles, int64_t tiles_per_run,
                   const std::function<void(const TileRun& run, int worker)>& body);

struct HeadMeans {
  std::vector<float> q, k;  // [N, D]
};

struct ListRule {
  // Of the dot products [M, N] between means, in place; M query tiles.
  std::function<void(std::span<float> dots)> to_scores;
  std::function<TileLists(int64_t head, std::span<const float> scores)> to_lists;
  bool whole_heads = false;  // M = N
};
// Key tiles of every query tile, one set of lists a head.
std::vector<TileLists> select_by_scores(const TileSelectorCall& call,
                                        std::span<const HeadMeans> heads, const ListRule& rule,
                                        ThreadPool& pool);

}  // namespace sparsescope
