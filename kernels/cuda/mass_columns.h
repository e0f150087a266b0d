// How the keys of a call are dealt into key blocks of 64 where masses by block of many partitions
// are wanted, and the 0/1 matrices that sum a key block's probabilities: a column for every block,
// of whichever partition, that holds some of the keys.
//
// Keys are ordered by the finest partition's block, then by the next finer one's, and so on: a key
// block has few columns then. Text keys lie in no block and are left out.
#pragma once

#include <cstdint>
#include <vector>

#include "core/key_cells.h"

namespace sparsescope::cuda {

inline constexpr int kColumns = 16;  // of a group: two matrices of 64 keys by 8

// What a lane holds of a group's matrices as right factors of products over 16 keys at a time, a
// word each, the first one below. Register i of 8 holds keys 8 i + 2 (lane % 4) and the next, for
// column lane / 4; its two elements are 2 in fp16 (one bit: 0x4000) where the key is of the column,
// else 0, and
//   register i = (word << i) & 0x40004000.
using ColumnBits = uint64_t;

struct MassColumns {
  std::vector<int32_t> tokens;       // [key blocks, 64]; -1: idle
  std::vector<uint64_t> valid;       // [key blocks] bit of every slot that holds a token
  std::vector<int32_t> first_group;  // [key blocks + 1]; a key block has one group at least
  std::vector<int32_t> blocks;       // [groups, 16] block of each column; -1: none
  std::vector<ColumnBits> bits;      // [groups, 32]

  int32_t num_key_blocks() const { return static_cast<int32_t>(valid.size()); }
};

// first_block: of each partition, by its number in cells; partitions: those that get columns.
MassColumns make_mass_columns(const KeyCells& cells, const std::vector<int32_t>& first_block,
                              std::vector<int32_t> partitions);

}  // namespace sparsescope::cuda
