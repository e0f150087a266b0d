// Attention of some rows of a head on each key cell by itself. Any selection of whole cells is a
// weighted mean of these parts, so that one pass over K and V serves all selections:
//   out of a selection = sum over its cells c of e^(lse_c) out_c / sum over its cells of e^(lse_c)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/key_cells.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"

namespace sparsescope {

struct CellAttention {
  int64_t cells = 0, head_dim = 0;
  std::vector<float> out;  // [rows, cells, D] softmax over the keys of the cell alone, times V
  std::vector<float> lse;  // [rows, cells] natural log of the sum of exp, scale included

  const float* out_of(int64_t row) const { return &out[row * cells * head_dim]; }
  const float* lse_of(int64_t row) const { return &lse[row * cells]; }
};

// Of batch entry 0. tokens: the rows; cells: of the call's grid, text cell included.
void attend_cells(const AttentionCall& call, int64_t head, const KeyCells& cells,
                  std::span<const int32_t> tokens, Impl impl, ThreadPool& pool,
                  CellAttention& result);

}  // namespace sparsescope
