#include "kernels/cpu/row_block.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/cpu/packed_heads.h"

namespace sparsescope::cpu {

int32_t lanes_for(int32_t num_rows) {
  if (num_rows <= 16) return 16;
  return num_rows <= 32 ? 32 : kRowLanes;
}

RowTile start_row_block(const AttentionTensor& q, int64_t head, float scale, const int32_t* tokens,
                        int32_t num_rows, int32_t lanes, const BlockKernels& kernels,
                        const PairKernels* pairs, RowWorkspace& workspace) {
  const auto head_dim = static_cast<int32_t>(q.head_dim);
  const float log2_scale = scale * std::numbers::log2e_v<float>;
  RowTile rows = workspace.tile(lanes, head_dim);
  workspace.tokens.assign(tokens, tokens + num_rows);
  workspace.tokens.resize(lanes, tokens[num_rows - 1]);  // idle lanes repeat the last row
  float* gathered = workspace.query_rows.reserve(static_cast<size_t>(lanes) * head_dim);
  if (pairs == nullptr) {
    kernels.pack_rows(token_rows(q, head), workspace.tokens.data(), lanes, head_dim, gathered,
                      head_dim);
    kernels.transpose_rows(gathered, head_dim, head_dim, lanes, log2_scale, rows.q_t);
  } else {
    const int32_t depth = (head_dim + 1) / 2;
    pairs->pack_channel_pairs(token_rows(q, head), workspace.tokens.data(), lanes, head_dim,
                              gathered, depth);
    pairs->transpose_words(gathered, depth, depth, lanes, rows.q_t);
    rows.score_scale = log2_scale;  // a scaled query would have to be rounded again
  }
  kernels.reset(rows, head_dim);
  return rows;
}

float natural_lse(float maximum, float sum) {
  if (!(sum > 0)) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(std::numbers::ln2 * static_cast<double>(maximum) + std::log(sum));
}

void finish_rows(const RowTile& rows, int32_t num_rows, RowResults& results) {
  results = {};
  for (int32_t r = 0; r < num_rows; ++r) {
    const float sum = rows.row_sum[r];
    results.lse[r] = natural_lse(rows.row_max[r], sum);
    if (!(sum > 0)) continue;
    results.inverse_sum[r] = 1.0f / sum;
    results.log_sum[r] = std::log(sum);
  }
}

}  // namespace sparsescope::cpu
