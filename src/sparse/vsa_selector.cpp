#include "sparse/vsa_selector.h"

#include "core/error.h"
#include "sparse/top_k.h"

namespace sparsescope {
namespace {

std::vector<HeadMeans> means_of_heads(const TileSelectorCall& call, std::span<const VsaHead> heads,
                                      VsaRounding rounding, ThreadPool& pool) {
  const TokenLayout& layout = *call.layout;
  const TokenRowKernels& kernels = token_row_kernels(call.impl);
  const int64_t head_dim = call.q.head_dim, size = layout.num_tiles() * head_dim;
  std::vector<HeadMeans> means(heads.size());
  for (HeadMeans& head : means) head = {std::vector<float>(size), std::vector<float>(size)};
  for_tile_runs(
      pool, std::ssize(heads), layout.num_tiles(), kReadTiles, [&](const TileRun& run, int) {
        const VsaHead& head = heads[run.head];
        const auto write_mean = [&](const AttentionTensor& x, int64_t tile, float* mean) {
          const TokenRows rows = token_rows(x, head.batch, head.head, layout.tokens_of(tile));
          if (rounding == VsaRounding::kExact) return mean_row(kernels, rows, mean);
          bf16_mean_row(kernels, rows, mean);
        };
        for (int64_t tile = run.first; tile < run.last; ++tile) {
          write_mean(call.q, tile, &means[run.head].q[tile * head_dim]);
          write_mean(call.k, tile, &means[run.head].k[tile * head_dim]);
        }
      });
  return means;
}

}  // namespace

void check_top_k(int64_t top_k, int64_t num_tiles) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, top_k >= 1 && top_k <= num_tiles,
                    "vsa: top_k expected in 1..{} (the number of tiles), found {}", num_tiles,
                    top_k);
}

TileLists top_k_tiles(std::span<const float> scores, int64_t num_tiles, int64_t top_k,
                      VsaRounding rounding) {
  check_top_k(top_k, num_tiles);
  TileLists lists;
  lists.tiles.reserve(scores.size() / num_tiles * top_k);
  std::vector<float> scratch;
  for (size_t first = 0; first < scores.size(); first += num_tiles) {
    const std::span<const float> row = scores.subspan(first, num_tiles);
    if (rounding == VsaRounding::kExact) {
      append_top_k(row, top_k, scratch, lists.tiles);
    } else {
      append_bisected_top_k(row, top_k, scratch, lists.tiles);
    }
    lists.end_row();
  }
  return lists;
}

std::vector<TileLists> select_vsa(const TileSelectorCall& call, std::span<const VsaHead> heads,
                                  ThreadPool& pool, VsaRounding rounding) {
  const ListRule rule{.to_scores =
                          [&](std::span<float> dots) {
                            if (rounding == VsaRounding::kFastVideo)
                              return to_bf16_scores(dots, call.q.head_dim);
                            for (float& score : dots) score *= call.scale;
                          },
                      .to_lists =
                          [&](int64_t head, std::span<const float> scores) {
                            return top_k_tiles(scores, call.layout->num_tiles(), heads[head].top_k,
                                               rounding);
                          }};
  return select_by_scores(call, means_of_heads(call, heads, rounding, pool), rule, pool);
}

}  // namespace sparsescope
