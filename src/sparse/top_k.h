// The k best of a row of scores, in the order that all selectors share: score descending, then
// lower index. NaN ranks as -inf, so that exactly k are always found.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsescope {

// Indices of the min(k, n) best, ascending, appended to out. scratch is overwritten.
void append_top_k(std::span<const float> scores, int64_t k, std::vector<float>& scratch,
                  std::vector<int32_t>& out);

// VSA's K = clamp(ceil((1 - sparsity) * N), 1, N) in double, in exactly this order: where 1 -
// sparsity lies slightly high in binary, an integer product gains a tile, as published checkpoints
// expect.
int64_t top_k_from_sparsity(double sparsity, int64_t num_tiles);

}  // namespace sparsescope
