#include "sparse/tile_scores.h"

#include <algorithm>

#include "sparse/dot_products.h"

namespace sparsescope {
namespace {

constexpr int64_t kSumRows = 64;
// Query tiles that are scored at once: enough to pay for the transposed panel of key means.
constexpr int64_t kScoredTiles = 64;

int64_t num_runs(int64_t num_tiles, int64_t tiles_per_run) {
  return (num_tiles + tiles_per_run - 1) / tiles_per_run;
}

}  // namespace

void mean_row(const TokenRowKernels& kernels, TokenRows rows, float* mean) {
  const auto count = static_cast<double>(rows.num_rows);
  const auto divide = [&](double sum) { return static_cast<float>(sum / count); };
  if (rows.num_rows <= kSumRows) {
    kernels.sum(rows, mean);
    std::transform(mean, mean + rows.head_dim, mean, divide);
    return;
  }
  std::vector<double> total(rows.head_dim, 0.0);
  for (int64_t left = rows.num_rows; left > 0; left -= kSumRows) {
    rows.num_rows = std::min(left, kSumRows);
    kernels.sum(rows, mean);
    for (int64_t d = 0; d < rows.head_dim; ++d) total[d] += mean[d];
    rows.tokens += rows.num_rows;
  }
  std::transform(total.begin(), total.end(), mean, divide);
}

std::vector<float> tile_means(Impl impl, const AttentionTensor& x, int64_t batch, int64_t head,
                              const TokenLayout& layout) {
  const TokenRowKernels& kernels = token_row_kernels(impl);
  std::vector<float> means(layout.num_tiles() * x.head_dim);
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    mean_row(kernels, token_rows(x, batch, head, layout.tokens_of(tile)),
             &means[tile * x.head_dim]);
  }
  return means;
}

void for_tile_runs(ThreadPool& pool, int64_t num_heads, int64_t num_tiles, int64_t tiles_per_run,
                   const std::function<void(const TileRun& run, int worker)>& body) {
  const int64_t runs = num_runs(num_tiles, tiles_per_run);
  pool.parallel_for(num_heads * runs, [&](int64_t item, int worker) {
    const int64_t index = item % runs, first = index * tiles_per_run;
    body({item / runs, index, first, std::min(num_tiles, first + tiles_per_run)}, worker);
  });
}

std::vector<TileLists> select_by_scores(const TileSelectorCall& call,
                                        std::span<const HeadMeans> heads, const ListRule& rule,
                                        ThreadPool& pool) {
  const int64_t num_tiles = call.layout->num_tiles(), head_dim = call.q.head_dim;
  const int64_t tiles_per_run = rule.whole_heads ? num_tiles : kScoredTiles;
  const int64_t runs = num_runs(num_tiles, tiles_per_run);
  struct Scratch {
    std::vector<float> scores, panel;
  };
  std::vector<Scratch> scratch(pool.size());
  std::vector<TileLists> parts(heads.size() * runs);
  for_tile_runs(pool, std::ssize(heads), num_tiles, tiles_per_run,
                [&](const TileRun& run, int worker) {
                  const int64_t rows = run.last - run.first;
                  std::span<float> scores;  // [rows, N]
                  if (call.scores != nullptr) {
                    scores = {call.scores + (run.head * num_tiles + run.first) * num_tiles,
                              static_cast<size_t>(rows * num_tiles)};
                  } else {
                    scratch[worker].scores.resize(rows * num_tiles);
                    scores = scratch[worker].scores;
                  }
                  dot_products(call.impl,
                               {.a = &heads[run.head].q[run.first * head_dim],
                                .num_a = rows,
                                .b = heads[run.head].k.data(),
                                .num_b = num_tiles,
                                .head_dim = head_dim,
                                .out = scores.data(),
                                .stride_out = num_tiles},
                               scratch[worker].panel);
                  rule.to_scores(scores);
                  parts[run.head * runs + run.index] = rule.to_lists(run.head, scores);
                });
  std::vector<TileLists> lists;
  for (size_t head = 0; head < heads.size(); ++head) {
    lists.push_back(join_rows(std::span(parts).subspan(head * runs, runs)));
  }
  return lists;
}

}  // namespace sparsescope
