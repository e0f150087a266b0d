#include "sparse/tile_scores.h"

#include <algorithm>

#include "sparse/dot_products.h"
#include "sparse/gather_rows.h"

namespace sparsescope {
namespace {

constexpr int64_t kRunRows = 64;

}  // namespace

void RowMean::add(const float* rows, int64_t num_rows) {
  const auto head_dim = static_cast<int64_t>(run_.size());
  for (int64_t first = 0; first < num_rows; first += kRunRows) {
    const int64_t last = std::min(num_rows, first + kRunRows);
    std::fill(run_.begin(), run_.end(), 0.0f);
    for (int64_t r = first; r < last; ++r) {
      for (int64_t d = 0; d < head_dim; ++d) run_[d] += rows[r * head_dim + d];
    }
    for (int64_t d = 0; d < head_dim; ++d) total_[d] += run_[d];
  }
  count_ += num_rows;
}

void RowMean::finish(float* mean) {
  for (size_t d = 0; d < total_.size(); ++d) {
    mean[d] = static_cast<float>(total_[d] / static_cast<double>(count_));
    total_[d] = 0.0;
  }
  count_ = 0;
}

std::vector<float> tile_means(const AttentionTensor& x, int64_t batch, int64_t head,
                              const TokenLayout& layout) {
  const int64_t head_dim = x.head_dim;
  std::vector<float> means(layout.num_tiles() * head_dim);
  std::vector<float> rows(kRunRows * head_dim);
  RowMean mean(head_dim);
  for (int64_t tile = 0; tile < layout.num_tiles(); ++tile) {
    std::span<const int32_t> tokens = layout.tokens_of(tile);
    while (!tokens.empty()) {
      const auto run = tokens.first(std::min<size_t>(tokens.size(), kRunRows));
      gather_rows(x, batch, head, run, rows.data());
      mean.add(rows.data(), static_cast<int64_t>(run.size()));
      tokens = tokens.subspan(run.size());
    }
    mean.finish(&means[tile * head_dim]);
  }
  return means;
}

std::vector<float> tile_scores(Impl impl, float scale, std::span<const float> q_means,
                               std::span<const float> k_means, int64_t head_dim) {
  const int64_t num_q = static_cast<int64_t>(q_means.size()) / head_dim;
  const int64_t num_k = static_cast<int64_t>(k_means.size()) / head_dim;
  std::vector<float> scores(num_q * num_k);
  std::vector<float> panel;
  dot_products(impl,
               {.a = q_means.data(),
                .num_a = num_q,
                .b = k_means.data(),
                .num_b = num_k,
                .head_dim = head_dim,
                .out = scores.data(),
                .stride_out = num_k},
               panel);
  for (float& score : scores) score *= scale;
  return scores;
}

}  // namespace sparsescope
