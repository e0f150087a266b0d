// The parts of a row block's life that dense and sparse attention share: its queries at the start,
// its normalisation at the end.
#pragma once

#include <cstdint>

#include "core/row_groups.h"
#include "kernels/attention.h"
#include "kernels/cpu/cpu_attention.h"
#include "kernels/cpu/workspace.h"

namespace sparsescope::cpu {

// The fewest lanes that hold the rows: 16, 32 or 64.
int32_t lanes_for(int32_t num_rows);

// A row block that holds the queries of some tokens of one head, and nothing else yet.
RowTile load_queries(const AttentionTensor& q, int64_t head, float scale, const int32_t* tokens,
                     int32_t num_rows, int32_t lanes, const ForwardKernels& kernels,
                     RowWorkspace& workspace);

// The same with an empty running softmax.
RowTile start_row_block(const AttentionTensor& q, int64_t head, float scale, const int32_t* tokens,
                        int32_t num_rows, int32_t lanes, const ForwardKernels& kernels,
                        RowWorkspace& workspace);

// What normalises a finished row block. Lanes without a row hold zero.
struct RowResults {
  alignas(64) float inverse_sum[kRowLanes];  // 1 / row_sum; 0 for a row that saw no finite score
  alignas(64) float log_sum[kRowLanes];      // ln row_sum
  alignas(64) float lse[kRowLanes];          // natural log; -inf for such a row
};
void finish_rows(const RowTile& rows, int32_t num_rows, RowResults& results);

// ln(sum * 2^maximum); -inf for a sum of zero.
float natural_lse(float maximum, float sum);

}  // namespace sparsescope::cpu
