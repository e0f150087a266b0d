#include "sparse/vsa_selector.h"

#include "core/error.h"
#include "sparse/tile_scores.h"
#include "sparse/top_k.h"

namespace sparsescope {

TileLists top_k_tiles(std::span<const float> scores, int64_t num_tiles, int64_t top_k) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, top_k >= 1 && top_k <= num_tiles,
                    "vsa: top_k expected in 1..{} (the number of tiles), found {}", num_tiles,
                    top_k);
  TileLists lists;
  std::vector<float> scratch;
  for (int64_t i = 0; i < num_tiles; ++i) {
    append_top_k(scores.subspan(i * num_tiles, num_tiles), top_k, scratch, lists.tiles);
    lists.end_row();
  }
  return lists;
}

VsaSelection select_vsa(const AttentionTensor& q, const AttentionTensor& k, int64_t batch,
                        int64_t head, float scale, const TokenLayout& layout, int64_t top_k,
                        Impl impl) {
  VsaSelection selection;
  selection.scores = tile_scores(impl, scale, tile_means(q, batch, head, layout),
                                 tile_means(k, batch, head, layout), q.head_dim);
  selection.lists = top_k_tiles(selection.scores, layout.num_tiles(), top_k);
  return selection;
}

}  // namespace sparsescope
