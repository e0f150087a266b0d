#include "unit/sparse/sparse_test_support.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/rng.h"
#include "core/thread_pool.h"
#include "sparse/vsa_selector.h"

namespace sparsescope::testing {

AttentionTensor Qkv::view(const std::vector<float>& x) const {
  return contiguous_attention_tensor(x.data(), Dtype::kF32, batch, heads, tokens, head_dim);
}

double Qkv::logit(double scale, int64_t b, int64_t h, int64_t query, int64_t key) const {
  double dot = 0;
  for (int64_t d = 0; d < head_dim; ++d) {
    dot += static_cast<double>(row(q, b, h, query)[d]) * row(k, b, h, key)[d];
  }
  return scale * dot;
}

Qkv random_qkv(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim, uint64_t seed) {
  Qkv x{.batch = batch, .heads = heads, .tokens = tokens, .head_dim = head_dim};
  const int64_t count = batch * heads * tokens * head_dim;
  for (auto* values : {&x.q, &x.k, &x.v}) values->resize(count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t d = i % head_dim, s = (i / head_dim) % tokens, h = i / (head_dim * tokens);
    const double slow = 1.5 * std::sin(0.11 * static_cast<double>(s * (1 + d % 3)) +
                                       static_cast<double>(d + 5 * h));
    const double strength = s % 29 == 7 ? 3.0 : 1.0;  // outlier tokens
    x.q[i] = static_cast<float>(strength * (slow + 0.7 * normal(seed, i)));
    x.k[i] = static_cast<float>(strength * (slow + 0.7 * normal(seed + 1, i)));
    x.v[i] = static_cast<float>(normal(seed + 2, i));
  }
  return x;
}

std::vector<float> pattern(int64_t tokens, int64_t head_dim, int64_t a, int64_t m, int64_t o,
                           int64_t modulus, int64_t shift, double divisor) {
  std::vector<float> values;
  for (int64_t i = 0; i < tokens; ++i) {
    for (int64_t d = 0; d < head_dim; ++d) {
      values.push_back(
          static_cast<float>(static_cast<double>((a * i + m * d + o) % modulus - shift) / divisor));
    }
  }
  return values;
}

AttentionCall make_call(const Qkv& x, const TokenGrid& grid, std::vector<float>& out,
                        int64_t prefix, int64_t suffix) {
  out.assign(x.q.size(), std::numeric_limits<float>::quiet_NaN());
  return {.grid = grid,
          .prefix = prefix,
          .suffix = suffix,
          .scale = 1.0f / std::sqrt(static_cast<float>(x.head_dim)),
          .q = x.view(x.q),
          .k = x.view(x.k),
          .v = x.view(x.v),
          .out = contiguous_output(out.data(), x.heads, x.tokens, x.head_dim)};
}

NaiveResult naive_attention(const Qkv& x, double scale, const AttendsTo& attends) {
  NaiveResult result;
  std::vector<double> logits(x.tokens);
  for (int64_t b = 0; b < x.batch; ++b) {
    for (int64_t h = 0; h < x.heads; ++h) {
      for (int64_t row = 0; row < x.tokens; ++row) {
        for (int64_t key = 0; key < x.tokens; ++key) logits[key] = x.logit(scale, b, h, row, key);
        const double top = *std::max_element(logits.begin(), logits.end());
        double all = 0, attended = 0;
        std::vector<double> out(x.head_dim, 0.0);
        for (int64_t key = 0; key < x.tokens; ++key) {
          const double weight = std::exp(logits[key] - top);
          all += weight;
          if (!attends(b, h, row, key)) continue;
          attended += weight;
          for (int64_t d = 0; d < x.head_dim; ++d) out[d] += weight * x.row(x.v, b, h, key)[d];
        }
        for (const double value : out) result.out.push_back(value / attended);
        result.lse.push_back(top + std::log(attended));
        result.mass.push_back(attended / all);
      }
    }
  }
  return result;
}

ScoredLists select_vsa_head(TileSelectorCall call, int64_t batch, int64_t head, int64_t top_k) {
  const int64_t num_tiles = call.layout->num_tiles();
  ScoredLists selection{.scores = std::vector<float>(num_tiles * num_tiles)};
  call.scores = selection.scores.data();
  ThreadPool pool(2);
  const VsaHead heads[] = {{batch, head, top_k}};
  selection.lists = std::move(select_vsa(call, heads, pool)[0]);
  return selection;
}

ScoredBsa select_bsa_head(TileSelectorCall call, int64_t batch, int64_t head,
                          const BsaOptions& options) {
  const int64_t num_tiles = call.layout->num_tiles();
  std::vector<float> scores(num_tiles * num_tiles);
  call.scores = scores.data();
  ThreadPool pool(2);
  const BsaHead heads[] = {{batch, head, options}};
  return {std::move(select_bsa(call, heads, pool)[0]), std::move(scores)};
}

std::string lists_to_string(const TileLists& lists) {
  std::string text;
  for (int64_t row = 0; row < lists.num_rows(); ++row) {
    if (row > 0) text += '/';
    for (const int32_t tile : lists.of(row)) text += std::to_string(tile);
  }
  return text;
}

}  // namespace sparsescope::testing
