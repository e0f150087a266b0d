// How the keys of a call are cut into the blocks of one softmax step, and the cells of the keys
// into pieces that lie in one block.
#pragma once

#include <cstdint>
#include <vector>

#include "core/key_cells.h"
#include "kernels/attention.h"
#include "kernels/cpu/block_kernels.h"

namespace sparsescope::cpu {

struct KeyPlan {
  std::vector<KeyBlock> blocks;
  std::vector<KeyPiece> pieces;  // in the order of the cells
};

// Blocks of whole cells where cells fit; larger cells are cut every kKeyBlock keys.
KeyPlan plan_cells(const KeyCells& cells);

// The keys of a sparse item as blocks without pieces; adjacent ranges become one run of keys.
void plan_item(const SparseSelection& selection, const SparseItem& item,
               std::vector<KeyBlock>& blocks);

}  // namespace sparsescope::cpu
