// Which key blocks each query of one (batch, head) attends to, for methods that select row by row.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "core/row_groups.h"

namespace sparsescope {

// Queries stand at their layout positions, so that the queries of a block are neighbours.
struct RowSelection {
  int64_t num_blocks = 0;      // N
  int64_t num_rows = 0;        // S_video
  std::vector<uint64_t> bits;  // [ceil(S_video / 64), N] bit r of word w: position 64 * w + r

  RowSelection() = default;
  RowSelection(int64_t blocks, int64_t rows)
      : num_blocks(blocks), num_rows(rows), bits((rows + kRowLanes - 1) / kRowLanes * blocks) {}
  bool selected(int64_t block, int64_t position) const {
    return (bits[word_of(block, position)] >> (position % kRowLanes) & 1) != 0;
  }
  void select(int64_t block, int64_t position) {
    bits[word_of(block, position)] |= bit_of(position);
  }
  // The same where other threads select for positions of the same word.
  void select_shared(int64_t block, int64_t position) {
    std::atomic_ref(bits[word_of(block, position)])
        .fetch_or(bit_of(position), std::memory_order_relaxed);
  }

 private:
  int64_t word_of(int64_t block, int64_t position) const {
    return position / kRowLanes * num_blocks + block;
  }
  static uint64_t bit_of(int64_t position) { return uint64_t{1} << (position % kRowLanes); }
};

}  // namespace sparsescope
