// What a selector decides, apart from how it is executed: per (batch, head) the kept queries and
// the key tiles or blocks of each row group, in a form that can be counted and handed to the
// kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention.h"

namespace sparsescope {

// Owns what SparseSelection points to.
struct BlockLists {
  std::vector<int32_t> key_order;  // [num_keys] position -> token index
  std::vector<KeyRange> ranges;    // tiles or blocks, then the text range where there is text
  std::vector<int32_t> rows;
  std::vector<int32_t> range_ids;
  std::vector<SparseItem> items;
  std::vector<SparseStrand> strands;
  // BSA: the token whose output each video token takes, itself where kept, -1 for output 0;
  // [B, H, S_video], empty elsewhere. Tokens count the prefix.
  std::vector<int32_t> restore_from;

  SparseSelection view() const;
  // Computed query-key pairs of each (batch, head) over all S * S pairs.
  std::vector<double> density(int64_t batch, int64_t heads, int64_t tokens) const;  // [B * H]
};

}  // namespace sparsescope
