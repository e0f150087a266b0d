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

namespace {

// q_t as words of two channels; rows of whole, aligned words are read where they lie.
void gather_words(const TokenRows& from, int32_t head_dim, const PairKernels& pairs,
                  RowWorkspace& workspace, const RowTile& rows) {
  const int32_t* tokens = workspace.tokens.data();
  const int32_t depth = (head_dim + 1) / 2;
  const bool whole = head_dim % 2 == 0 && from.stride % 2 == 0 &&
                     reinterpret_cast<uintptr_t>(from.data) % sizeof(float) == 0;
  if (whole) {
    pairs.transpose_words(static_cast<const float*>(from.data), from.stride / 2, tokens, depth,
                          rows.lanes, rows.q_t);
    return;
  }
  float* words = workspace.query_rows.reserve(static_cast<size_t>(rows.lanes) * depth);
  pairs.pack_channel_pairs(from, tokens, rows.lanes, head_dim, words, depth);
  pairs.transpose_words(words, depth, nullptr, depth, rows.lanes, rows.q_t);
}

}  // namespace

RowTile load_queries(const AttentionTensor& q, int64_t head, float scale, const int32_t* tokens,
                     int32_t num_rows, int32_t lanes, const ForwardKernels& kernels,
                     RowWorkspace& workspace) {
  const auto head_dim = static_cast<int32_t>(q.head_dim);
  const float log2_scale = scale * std::numbers::log2e_v<float>;
  RowTile rows = workspace.tile(lanes, head_dim);
  workspace.tokens.assign(tokens, tokens + num_rows);
  workspace.tokens.resize(lanes, tokens[num_rows - 1]);  // idle lanes repeat the last row
  const TokenRows from = token_rows(q, head);
  if (kernels.pairs != nullptr) {
    gather_words(from, head_dim, *kernels.pairs, workspace, rows);
    rows.score_scale = log2_scale;  // a scaled query would have to be rounded again
  } else if (from.element == Element::kF32) {
    kernels.block.transpose_rows(static_cast<const float*>(from.data), from.stride,
                                 workspace.tokens.data(), head_dim, lanes, log2_scale, rows.q_t);
  } else {
    float* widened = workspace.query_rows.reserve(static_cast<size_t>(lanes) * head_dim);
    kernels.block.pack_rows(from, workspace.tokens.data(), lanes, head_dim, widened, head_dim);
    kernels.block.transpose_rows(widened, head_dim, nullptr, head_dim, lanes, log2_scale, rows.q_t);
  }
  return rows;
}

RowTile start_row_block(const AttentionTensor& q, int64_t head, float scale, const int32_t* tokens,
                        int32_t num_rows, int32_t lanes, const ForwardKernels& kernels,
                        RowWorkspace& workspace) {
  const RowTile rows = load_queries(q, head, scale, tokens, num_rows, lanes, kernels, workspace);
  kernels.block.reset(rows, static_cast<int32_t>(q.head_dim));
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
