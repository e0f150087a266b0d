#include "sparse/bsa_selector.h"

#include <algorithm>

#include "core/error.h"
#include "sparse/bsa_kv_rules.h"
#include "sparse/bsa_queries.h"
#include "sparse/bsa_sources.h"

namespace sparsescope {

void check_bsa_options(const TokenLayout& layout, const BsaOptions& options) {
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

namespace {

// Works through a run of tiles of one head; buffers are reused from tile to tile.
class QuerySelector {
 public:
  QuerySelector(const TileSelectorCall& call, const BsaHead& head)
      : call_(call), head_(head), kernels_(token_row_kernels(call.impl)) {}

  // Appends the tile's kept slots, writes its sources and the mean [D] of its kept queries.
  void select(int64_t tile, TileLists& kept, std::vector<int32_t>& restore_from, float* kept_mean) {
    const TokenLayout& layout = *call_.layout;
    const std::span<const int32_t> tokens = layout.tokens_of(tile);
    const Box box = layout.tiles.box(tile);
    const QueryWindows& windows = windows_of(box);
    keep(tokens, windows);
    kept.tiles.insert(kept.tiles.end(), kept_.begin(), kept_.end());
    kept.end_row();

    kept_tokens_.clear();
    for (const int32_t slot : kept_) kept_tokens_.push_back(tokens[slot]);
    mean_row(kernels_, rows_of(kept_tokens_), kept_mean);

    sources_.resize(tokens.size());
    find_sources(call_.impl, unit_rows_, kept_, windows.reference, head_.options.restore,
                 source_scratch_, sources_);
    for (size_t slot = 0; slot < tokens.size(); ++slot) {
      restore_from[tokens[slot] - layout.prefix] = sources_[slot] < 0 ? -1 : tokens[sources_[slot]];
    }
  }

 private:
  TokenRows rows_of(std::span<const int32_t> tokens) const {
    return token_rows(call_.q, head_.batch, head_.head, tokens);
  }

  void keep(std::span<const int32_t> tokens, const QueryWindows& windows) {
    const int64_t num_slots = std::ssize(tokens), head_dim = call_.q.head_dim;
    unit_rows_.resize(num_slots * head_dim);
    kernels_.normalize(rows_of(tokens), unit_rows_.data());
    similarity_.resize(num_slots);
    dots_.resize(num_slots);
    int32_t measured = -1;  // the reference that dots_ belong to: one for all windows, mostly
    for (const std::vector<int32_t>& slots : windows.slots) {
      const int32_t reference = windows.reference[slots[0]];
      if (reference != measured) {
        kernels_.dots(unit_rows_.data(), num_slots, head_dim, &unit_rows_[reference * head_dim],
                      dots_.data());
        measured = reference;
      }
      for (const int32_t slot : slots) similarity_[slot] = dots_[slot];
    }
    keep_queries(similarity_, windows, head_.options.query, keep_scratch_, kept_);
  }

  // Neighbouring tiles mostly share their extents.
  const QueryWindows& windows_of(const Box& box) {
    if (box.t != extents_.t || box.h != extents_.h || box.w != extents_.w) {
      windows_ = query_windows(box, call_.layout->tiles.shape(), head_.options.query);
      extents_ = {box.t, box.h, box.w};
    }
    return windows_;
  }

  const TileSelectorCall& call_;
  const BsaHead& head_;
  const TokenRowKernels& kernels_;
  TileShape extents_{0, 0, 0};
  QueryWindows windows_;
  std::vector<float> unit_rows_;          // [n, D]
  std::vector<float> dots_, similarity_;  // [n]
  KeepScratch keep_scratch_;
  std::vector<int32_t> kept_;         // slots
  std::vector<int32_t> kept_tokens_;  // the same as tokens
  SourceScratch source_scratch_;
  std::vector<int32_t> sources_;  // [n] slots
};

// Kept queries and sources of every head, and the means of kept queries and of keys.
std::vector<HeadMeans> select_queries(const TileSelectorCall& call, std::span<const BsaHead> heads,
                                      std::vector<BsaSelection>& selections, ThreadPool& pool) {
  const TokenLayout& layout = *call.layout;
  const TokenRowKernels& kernels = token_row_kernels(call.impl);
  const int64_t num_tiles = layout.num_tiles(), head_dim = call.q.head_dim;
  std::vector<HeadMeans> means(heads.size());
  for (size_t h = 0; h < heads.size(); ++h) {
    means[h].q.resize(num_tiles * head_dim);
    means[h].k.resize(num_tiles * head_dim);
    selections[h].restore_from.resize(layout.video_tokens());
  }
  const int64_t runs = (num_tiles + kReadTiles - 1) / kReadTiles;
  std::vector<TileLists> kept(heads.size() * runs);
  for_tile_runs(pool, std::ssize(heads), num_tiles, kReadTiles, [&](const TileRun& run, int) {
    const BsaHead& head = heads[run.head];
    QuerySelector selector(call, head);
    for (int64_t tile = run.first; tile < run.last; ++tile) {
      selector.select(tile, kept[run.head * runs + run.index], selections[run.head].restore_from,
                      &means[run.head].q[tile * head_dim]);
      mean_row(kernels, token_rows(call.k, head.batch, head.head, layout.tokens_of(tile)),
               &means[run.head].k[tile * head_dim]);
    }
  });
  for (size_t h = 0; h < heads.size(); ++h) {
    selections[h].kept = join_rows(std::span(kept).subspan(h * runs, runs));
  }
  return means;
}

}  // namespace

std::vector<BsaSelection> select_bsa(const TileSelectorCall& call, std::span<const BsaHead> heads,
                                     ThreadPool& pool) {
  for (const BsaHead& head : heads) check_bsa_options(*call.layout, head.options);
  std::vector<BsaSelection> selections(heads.size());
  const std::vector<HeadMeans> means = select_queries(call, heads, selections, pool);
  const ListRule rule{
      .to_scores =
          [&](std::span<float> dots) {
            for (float& score : dots) score *= call.scale;
          },
      .to_lists =
          [&](int64_t head, std::span<const float> scores) {
            return select_key_tiles(scores, call.layout->num_tiles(), heads[head].options.kv);
          },
      .whole_heads = std::any_of(heads.begin(), heads.end(), [](const BsaHead& head) {
        return head.options.kv.rule == BsaKvRule::kGaussLogitHead;
      })};
  std::vector<TileLists> lists = select_by_scores(call, means, rule, pool);
  for (size_t h = 0; h < heads.size(); ++h) selections[h].lists = std::move(lists[h]);
  return selections;
}

}  // namespace sparsescope
