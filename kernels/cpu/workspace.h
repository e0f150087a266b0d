// Work memory that outlives a call: fresh pages cost more than small problems do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cpu/block_kernels.h"

namespace sparsescope::cpu {

// Uninitialised values on a cache line boundary. Grows, never shrinks.
class AlignedBuffer {
 public:
  // At least count values; what was there before is lost when it grows.
  float* reserve(size_t count);

 private:
  struct Free {
    void operator()(float* values) const;
  };
  std::unique_ptr<float, Free> values_;
  size_t capacity_ = 0;
};

// What one worker needs for one row block.
struct RowWorkspace {
  AlignedBuffer query_rows;  // [lanes, D] gathered and widened
  AlignedBuffer q_t;         // [D, lanes]
  AlignedBuffer out_t;       // [D, lanes]
  AlignedBuffer scores;      // [kKeyBlock, lanes]
  AlignedBuffer prob_pairs;  // [kPairRows, lanes]
  AlignedBuffer row_state;   // row_max, row_sum: [2, lanes]
  AlignedBuffer epoch_max;   // [blocks + 1, 64]
  AlignedBuffer masses;      // per block of a row group: pieces, lse, entropy, bins
  AlignedBuffer merged;      // of a strand: outputs [rows, stride], maxima and sums [2, rows]
  AlignedBuffer gradients;   // of a row block: gradient_tile
  std::vector<int32_t> epoch_of_block;
  std::vector<KeyBlock> key_blocks;    // of one sparse item
  std::vector<int32_t> merged_tokens;  // rows of a strand, each once
  std::vector<int32_t> merged_place;   // [S] place of a token among them, else -1
  std::vector<int32_t> merged_index;   // that of each row of an item
  std::vector<int32_t> tokens;         // rows of a block, padded to its lanes

  // The state of a row block, for q_t of these tokens (num_rows of them).
  RowTile tile(int32_t lanes, int32_t head_dim);
};

// The calling thread's.
RowWorkspace& row_workspace();

}  // namespace sparsescope::cpu
