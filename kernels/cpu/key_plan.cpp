#include "kernels/cpu/key_plan.h"

#include <algorithm>

namespace sparsescope::cpu {
namespace {

// Appends the keys [first, first + count) of a cell, counted within it, as boxes: they start at
// `at` in their block.
void append_pieces(int32_t cell_idx, const KeyCell& cell, int32_t first, int32_t count, int32_t at,
                   std::vector<KeyPiece>& pieces) {
  if (cell.tile < 0) {  // text: one line without coordinates
    pieces.push_back({.cell = cell_idx, .first = at, .w = count, .has_coordinates = false});
    return;
  }
  const Box& box = cell.box;
  const int32_t slab = box.h * box.w;
  while (count > 0) {
    const int32_t t = first / slab, h = first / box.w % box.h, w = first % box.w;
    KeyPiece piece{.cell = cell_idx, .first = at};
    piece.t0 = box.t0 + t;
    piece.h0 = box.h0 + h;
    piece.w0 = box.w0 + w;
    if (h == 0 && w == 0 && count >= slab) {  // whole slabs
      piece.t = count / slab;
      piece.h = box.h;
      piece.w = box.w;
    } else if (w == 0 && count >= box.w) {  // whole lines of one slab
      piece.h = std::min(count / box.w, box.h - h);
      piece.w = box.w;
    } else {  // a part of one line
      piece.w = std::min(count, box.w - w);
    }
    const int32_t keys = piece.t * piece.h * piece.w;
    pieces.push_back(piece);
    first += keys;
    at += keys;
    count -= keys;
  }
}

// Appends blocks without pieces that cover [first, first + count).
void append_blocks(int32_t first, int32_t count, std::vector<KeyBlock>& blocks) {
  for (int32_t done = 0; done < count; done += kKeyBlock) {
    blocks.push_back({.first = first + done, .count = std::min<int32_t>(kKeyBlock, count - done)});
  }
}

}  // namespace

KeyPlan plan_cells(const KeyCells& cells) {
  KeyPlan plan;
  const auto close_block = [&] {
    if (plan.blocks.empty()) return;
    KeyBlock& block = plan.blocks.back();
    block.num_pieces = static_cast<int32_t>(plan.pieces.size()) - block.first_piece;
  };
  for (size_t c = 0; c < cells.cells.size(); ++c) {
    const KeyCell& cell = cells.cells[c];
    for (int32_t done = 0; done < cell.count;) {
      const int32_t part = std::min<int32_t>(kKeyBlock, cell.count - done);
      if (plan.blocks.empty() || plan.blocks.back().count + part > kKeyBlock) {
        close_block();
        plan.blocks.push_back(
            {.first = cell.first + done, .first_piece = static_cast<int32_t>(plan.pieces.size())});
      }
      KeyBlock& block = plan.blocks.back();
      append_pieces(static_cast<int32_t>(c), cell, done, part, block.count, plan.pieces);
      block.count += part;
      done += part;
    }
  }
  close_block();
  return plan;
}

void plan_item(const SparseSelection& selection, const SparseItem& item,
               std::vector<KeyBlock>& blocks) {
  blocks.clear();
  const int32_t* ids = selection.range_ids + item.first_range;
  KeyRange run;
  for (int32_t i = 0; i < item.num_ranges; ++i) {
    const KeyRange& range = selection.ranges[ids[i]];
    if (range.first == run.first + run.count) {
      run.count += range.count;
    } else {
      append_blocks(run.first, run.count, blocks);
      run = range;
    }
  }
  append_blocks(run.first, run.count, blocks);
}

}  // namespace sparsescope::cpu
