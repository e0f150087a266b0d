// What the tile selectors look at: means over the valid tokens of each tile, and the scores between
// them,  Z[i, j] = scale * mean(q in i) . mean(k in j).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor_view.h"
#include "kernels/impl.h"
#include "sparse/token_layout.h"

namespace sparsescope {

// mean [D] of rows [num_rows, D]. fp32 sums over runs of 64 rows, added up in fp64: blocks of a
// partition hold thousands of tokens.
class RowMean {
 public:
  explicit RowMean(int64_t head_dim) : total_(head_dim, 0.0), run_(head_dim) {}
  void add(const float* rows, int64_t num_rows);
  void finish(float* mean);  // writes the mean and starts anew

 private:
  std::vector<double> total_;
  std::vector<float> run_;
  int64_t count_ = 0;
};

// [N, D] of one (batch, head); text is left out.
std::vector<float> tile_means(const AttentionTensor& x, int64_t batch, int64_t head,
                              const TokenLayout& layout);

// [N, N]
std::vector<float> tile_scores(Impl impl, float scale, std::span<const float> q_means,
                               std::span<const float> k_means, int64_t head_dim);

}  // namespace sparsescope
