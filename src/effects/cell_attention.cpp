#include "effects/cell_attention.h"

#include <algorithm>
#include <cstring>

#include "core/dtype.h"
#include "kernels/kernel_table.h"
#include "sparse/selection.h"

namespace sparsescope {
namespace {

AttentionTensor one_head(AttentionTensor x, int64_t head) {
  x.data = static_cast<const char*>(x.data) + head * x.stride_head * dtype_bits(x.dtype) / 8;
  x.batch = x.heads = 1;
  return x;
}

// Each row once for every cell, [rows, cells, D] in q's own type: the kernel writes the output of a
// query once, and here every cell is to have its own.
std::vector<char> repeat_rows(const AttentionTensor& q, std::span<const int32_t> tokens,
                              int64_t cells) {
  const int64_t row_bytes = q.head_dim * dtype_bits(q.dtype) / 8;
  std::vector<char> rows(tokens.size() * static_cast<size_t>(cells * row_bytes));
  char* to = rows.data();
  for (const int32_t token : tokens) {
    const char* from =
        static_cast<const char*>(q.data) + token * q.stride_token * dtype_bits(q.dtype) / 8;
    for (int64_t c = 0; c < cells; ++c, to += row_bytes) std::memcpy(to, from, row_bytes);
  }
  return rows;
}

// Row r against cell c alone, as query r * cells + c; a strand for each run of rows.
BlockLists cell_lists(const KeyCells& cells, int64_t num_rows) {
  const auto num_cells = static_cast<int32_t>(cells.cells.size());
  BlockLists lists{.key_order = cells.order};
  for (int32_t c = 0; c < num_cells; ++c) {
    lists.ranges.push_back({cells.cells[c].first, cells.cells[c].count});
    lists.range_ids.push_back(c);
  }
  for (int64_t first = 0; first < num_rows; first += kRowLanes) {
    const auto count = static_cast<int32_t>(std::min<int64_t>(kRowLanes, num_rows - first));
    lists.strands.push_back(
        {.first_item = static_cast<int32_t>(lists.items.size()), .num_items = num_cells});
    for (int32_t c = 0; c < num_cells; ++c) {
      lists.items.push_back({.first_row = static_cast<int32_t>(lists.rows.size()),
                             .num_rows = count,
                             .first_range = c,
                             .num_ranges = 1});
      for (int32_t r = 0; r < count; ++r) {
        lists.rows.push_back(static_cast<int32_t>((first + r) * num_cells + c));
      }
    }
  }
  return lists;
}

}  // namespace

void attend_cells(const AttentionCall& call, int64_t head, const KeyCells& cells,
                  std::span<const int32_t> tokens, Impl impl, ThreadPool& pool,
                  CellAttention& result) {
  const auto num_rows = static_cast<int64_t>(tokens.size());
  result.cells = static_cast<int64_t>(cells.cells.size());
  result.head_dim = call.q.head_dim;
  result.out.resize(static_cast<size_t>(num_rows * result.cells * result.head_dim));
  result.lse.resize(static_cast<size_t>(num_rows * result.cells));
  const std::vector<char> queries = repeat_rows(one_head(call.q, head), tokens, result.cells);
  const BlockLists lists = cell_lists(cells, num_rows);
  attention_kernels(impl).sparse(
      {.q = contiguous_attention_tensor(queries.data(), call.q.dtype, 1, 1, num_rows * result.cells,
                                        result.head_dim),
       .k = one_head(call.k, head),
       .v = one_head(call.v, head),
       .scale = call.scale,
       .out = contiguous_output(result.out.data(), 1, num_rows * result.cells, result.head_dim),
       .lse = result.lse.data(),
       .selection = lists.view()},
      pool);
}

}  // namespace sparsescope
