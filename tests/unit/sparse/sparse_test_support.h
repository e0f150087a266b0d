// Inputs of sparse attention tests, and the definition they are judged by: a masked softmax in
// fp64.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/tensor_view.h"
#include "core/token_grid.h"
#include "model/attention_hook.h"
#include "sparse/bsa_selector.h"
#include "sparse/tile_lists.h"
#include "sparse/tile_scores.h"

namespace sparsescope::testing {

// Contiguous fp32 [B, H, S, D].
struct Qkv {
  int64_t batch = 1, heads = 1, tokens = 0, head_dim = 0;
  std::vector<float> q, k, v;

  AttentionTensor view(const std::vector<float>& x) const;
  const float* row(const std::vector<float>& x, int64_t b, int64_t h, int64_t s) const {
    return &x[((b * heads + h) * tokens + s) * head_dim];
  }
  double logit(double scale, int64_t b, int64_t h, int64_t row, int64_t key) const;
};

// Peaked inputs: neighbours along the sequence are alike, heads differ, a few tokens are outliers.
Qkv random_qkv(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim, uint64_t seed);

// f(i, d; a, m, o) = (((a*i + m*d + o) mod modulus) - shift) / divisor, [tokens, head_dim].
std::vector<float> pattern(int64_t tokens, int64_t head_dim, int64_t a, int64_t m, int64_t o,
                           int64_t modulus, int64_t shift, double divisor);

AttentionCall make_call(const Qkv& x, const TokenGrid& grid, std::vector<float>& out,
                        int64_t prefix = 0, int64_t suffix = 0);

using AttendsTo = std::function<bool(int64_t b, int64_t h, int64_t row, int64_t key)>;

struct NaiveResult {
  std::vector<double> out;   // [B, H, S, D]
  std::vector<double> lse;   // [B, H, S] over the attended keys
  std::vector<double> mass;  // [B, H, S] dense probability on the attended keys
};
NaiveResult naive_attention(const Qkv& x, double scale, const AttendsTo& attends);

// The selection of one (batch, head) with its scores [N, N].
struct ScoredLists {
  TileLists lists;
  std::vector<float> scores;
};
ScoredLists select_vsa_head(TileSelectorCall call, int64_t batch, int64_t head, int64_t top_k);

struct ScoredBsa : BsaSelection {
  std::vector<float> scores;
};
ScoredBsa select_bsa_head(TileSelectorCall call, int64_t batch, int64_t head,
                          const BsaOptions& options);

// "03/03/12/03"
std::string lists_to_string(const TileLists& lists);

}  // namespace sparsescope::testing
