#include "sparse/vsa_rounding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sparse/tile_scores.h"
#include "sparse/top_k.h"

namespace sparsescope {
namespace {

constexpr int64_t kLongestBisectedRow = 4096;
constexpr int kHalvings = 32;

float round_to_bf16(float value) { return bf16_to_float(float_to_bf16(value)); }

}  // namespace

void bf16_mean_row(const TokenRowKernels& kernels, const TokenRows& rows, float* mean) {
  if (rows.dtype == Dtype::kBF16) {
    mean_row(kernels, rows, mean);
  } else {
    // Copies in bf16, row by row.
    std::vector<float> row(rows.head_dim);
    std::vector<uint16_t> copies(rows.num_rows * rows.head_dim);
    for (int64_t r = 0; r < rows.num_rows; ++r) {
      TokenRows one = rows;
      one.tokens += r;
      one.num_rows = 1;
      kernels.sum(one, row.data());
      std::transform(row.begin(), row.end(), &copies[r * rows.head_dim], float_to_bf16);
    }
    std::vector<int32_t> tokens(rows.num_rows);
    std::iota(tokens.begin(), tokens.end(), 0);
    mean_row(
        kernels,
        {copies.data(), Dtype::kBF16, rows.head_dim, rows.head_dim, tokens.data(), rows.num_rows},
        mean);
  }
  std::transform(mean, mean + rows.head_dim, mean, round_to_bf16);
}

void to_bf16_scores(std::span<float> dots, int64_t head_dim) {
  const float root = std::sqrt(static_cast<float>(head_dim));
  for (float& score : dots) score = round_to_bf16(round_to_bf16(score) / root);
}

void append_bisected_top_k(std::span<const float> scores, int64_t k, std::vector<float>& scratch,
                           std::vector<int32_t>& out) {
  if (std::ssize(scores) > kLongestBisectedRow) return append_top_k(scores, k, scratch, out);
  float low = std::numeric_limits<float>::infinity(), high = -low;
  for (const float score : scores) {
    if (std::isfinite(score)) low = std::min(low, score);
    if (score > high) high = score;
  }
  const int64_t finite =
      std::count_if(scores.begin(), scores.end(), [&](float s) { return s >= low; });
  // Too few scores to halve between: as where all are -inf.
  if (finite < k || !std::isfinite(high)) return append_top_k(scores, k, scratch, out);
  for (int i = 0; i < kHalvings; ++i) {
    const float middle = (low + high) / 2;
    const int64_t above =
        std::count_if(scores.begin(), scores.end(), [&](float s) { return s >= middle; });
    (above >= k ? low : high) = middle;
  }
  int64_t ties = k - std::count_if(scores.begin(), scores.end(), [&](float s) { return s > low; });
  for (int32_t j = 0; j < std::ssize(scores); ++j) {
    if (scores[j] > low || (scores[j] == low && ties-- > 0)) out.push_back(j);
  }
}

}  // namespace sparsescope
