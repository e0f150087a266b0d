// How the keys of a dense call are dealt into slots, 64 a key block: in plain order, or as bricks
// (key_bricks.h) where masses by cell and by coordinate are wanted.
#pragma once

#include <cstdint>
#include <vector>

#include "core/key_cells.h"
#include "kernels/cuda/key_bricks.h"

namespace sparsescope::cuda {

struct KeyPlan {
  std::vector<int32_t> tokens;        // [num_blocks, 64] of every slot; -1: idle
  std::vector<uint64_t> valid;        // [num_blocks] bit of every slot that holds a token
  std::vector<KeyBlockPlace> blocks;  // [num_blocks]; empty in plain order, as all below
  std::vector<KeyBrick> bricks;       // [num_blocks, 8]
  std::vector<int32_t> piece_cell;    // [num_pieces] into KeyCells::cells; ascending
  int32_t num_bins = 0;               // T + Hg + Wg

  int32_t num_blocks() const { return static_cast<int32_t>(valid.size()); }
  int32_t num_pieces() const { return static_cast<int32_t>(piece_cell.size()); }
  // Slots per token: 1 where none is idle.
  double slots_per_token() const;
};

KeyPlan plan_tokens(const std::vector<int32_t>& order);

// Cells in their order, each cut into boxes of at most 4 x 4 x 4. A box of eight bricks starts a
// block; the bricks of others fill up what room there is.
KeyPlan plan_bricks(const KeyCells& cells);

}  // namespace sparsescope::cuda
