// The arithmetic in which VSA selects: exact (fp32, exactly K), or FastVideo's, whose pools and
// scores are rounded to bf16 and whose selector halves an interval of scores.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sparse/token_rows.h"

namespace sparsescope {

enum class VsaRounding { kExact, kFastVideo };

// mean [D] of the rows as bf16 values: rows read as bf16, summed and divided in fp32.
void bf16_mean_row(const TokenRowKernels& kernels, const TokenRows& rows, float* mean);

// Dot products to scores: rounded to bf16, divided by sqrt(D), rounded to bf16 again.
void to_bf16_scores(std::span<float> dots, int64_t head_dim);

// What 32 halvings between the smallest finite and the largest score find: all above the lower end,
// then those equal to it by ascending index up to k. Scores closer than the halvings tell apart are
// all kept, so that a row may hold more than k; it never holds fewer. Rows of more than 4096 scores
// take the exact top k. Ascending, appended to out; scratch is overwritten.
void append_bisected_top_k(std::span<const float> scores, int64_t k, std::vector<float>& scratch,
                           std::vector<int32_t>& out);

}  // namespace sparsescope
