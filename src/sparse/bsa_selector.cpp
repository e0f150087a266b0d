#include "sparse/bsa_selector.h"

#include <algorithm>

#include "core/error.h"
#include "sparse/bsa_kv_rules.h"
#include "sparse/bsa_queries.h"
#include "sparse/gather_rows.h"
#include "sparse/tile_scores.h"

namespace sparsescope {
namespace {

void check_options(const TokenLayout& layout, const BsaOptions& options) {
  const BsaQueryOptions& query = options.query;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, query.keep > 0 && query.keep <= 1,
                    "bsa: the kept fraction of queries must lie in (0, 1], found {}", query.keep);
  const TokenGrid& grid = layout.tiles.grid();
  const TileShape& tile = layout.tiles.shape();
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      !options.full_tiles_only ||
          (grid.t % tile.t == 0 && grid.h % tile.h == 0 && grid.w % tile.w == 0),
      "bsa: the fastvideo preset needs a grid of whole tiles, found grid {} with tiles {}",
      to_string(grid), to_string(tile));
}

// Works through the tiles of one head; buffers are reused from tile to tile.
class QuerySelector {
 public:
  QuerySelector(const TokenLayout& layout, const BsaOptions& options, Impl impl, int64_t head_dim)
      : layout_(layout), options_(options), impl_(impl), head_dim_(head_dim), mean_(head_dim) {}

  // rows [n, D] of the tile's queries; writes the mean of the kept ones.
  void select(int64_t tile, const std::vector<float>& rows, BsaSelection& selection,
              float* kept_mean) {
    const std::span<const int32_t> tokens = layout_.tokens_of(tile);
    const auto num_slots = static_cast<int64_t>(tokens.size());
    const Box box = layout_.tiles.box(tile);
    const int32_t centre = centre_slot(box, layout_.tiles.shape(), options_.query);

    unit_rows_.resize(num_slots * head_dim_);
    normalize_rows(rows.data(), num_slots, head_dim_, unit_rows_.data());
    similarity_.resize(num_slots);
    centre_similarity(unit_rows_.data(), num_slots, head_dim_, centre, similarity_.data());
    const std::vector<int32_t> kept =
        keep_queries(similarity_, windows_of(box), centre, options_.query);
    for (const int32_t slot : kept) mean_.add(&rows[slot * head_dim_], 1);
    mean_.finish(kept_mean);

    const std::vector<int32_t> sources =
        restore_sources(impl_, unit_rows_, num_slots, kept, centre, options_.restore);
    for (int64_t slot = 0; slot < num_slots; ++slot) {
      selection.restore_from[tokens[slot] - layout_.prefix] =
          sources[slot] < 0 ? -1 : tokens[sources[slot]];
    }
    selection.kept.tiles.insert(selection.kept.tiles.end(), kept.begin(), kept.end());
    selection.kept.end_row();
  }

 private:
  // Neighbouring tiles mostly share their extents.
  const std::vector<std::vector<int32_t>>& windows_of(const Box& box) {
    if (box.t != extents_.t || box.h != extents_.h || box.w != extents_.w) {
      windows_ = window_slots(box, options_.query.window);
      extents_ = {box.t, box.h, box.w};
    }
    return windows_;
  }

  const TokenLayout& layout_;
  const BsaOptions& options_;
  Impl impl_;
  int64_t head_dim_;
  RowMean mean_;
  TileShape extents_{0, 0, 0};
  std::vector<std::vector<int32_t>> windows_;
  std::vector<float> unit_rows_;   // [n, D]
  std::vector<float> similarity_;  // [n]
};

}  // namespace

BsaSelection select_bsa(const AttentionTensor& q, const AttentionTensor& k, int64_t batch,
                        int64_t head, float scale, const TokenLayout& layout,
                        const BsaOptions& options, Impl impl) {
  check_options(layout, options);
  const int64_t num_tiles = layout.num_tiles();
  BsaSelection selection;
  selection.restore_from.resize(layout.video_tokens());
  QuerySelector selector(layout, options, impl, q.head_dim);
  std::vector<float> q_means(num_tiles * q.head_dim);  // [N, D]
  std::vector<float> rows(layout.tiles.shape().volume() * q.head_dim);
  for (int64_t tile = 0; tile < num_tiles; ++tile) {
    gather_rows(q, batch, head, layout.tokens_of(tile), rows.data());
    selector.select(tile, rows, selection, &q_means[tile * q.head_dim]);
  }
  selection.scores =
      tile_scores(impl, scale, q_means, tile_means(k, batch, head, layout), q.head_dim);
  selection.lists = select_key_tiles(selection.scores, num_tiles, options.kv);
  return selection;
}

}  // namespace sparsescope
