// The key tiles of a thread block's items as they go from the thread that drives the copy engine to
// the group that multiplies: one running number over all items and strands, so that the next item's
// keys are on their way while the last one's are multiplied.
#pragma once

#include <cstdint>

#include "kernels/cuda/segment_cursor.cuh"
#include "kernels/cuda/sm90/tile_ring.cuh"
#include "kernels/cuda/strand_lists.h"

namespace sparsescope::cuda::sm90 {

// An item's rows.
struct ItemRows {
  int32_t first = 0, count = 0;
};

// What goes with a tile.
struct TileNote {
  int32_t head;
  ItemRows rows[2];  // of the item, and of one that has its keys in common; the first count -1: no
                     // tile, the work is done
  int16_t num_keys;  // 0: items without keys
  bool last;         // of its items
  bool merges;
};

template <int kHeadDim, int kStages>
struct ItemTiles {
  TileRing<kHeadDim, kStages> keys, values;
  TileNote notes[kStages];

  __device__ const TileNote& note(int tile) const { return notes[tile % kStages]; }
};

// Lets the item's tiles pass, from this one on; returns the number behind the last.
template <int kHeadDim, int kStages>
__device__ int pass_item(ItemTiles<kHeadDim, kStages>& tiles, int tile, int lane) {
  for (bool last = false; !last; ++tile) {
    tiles.keys.wait(tile);
    last = tiles.note(tile).last;
    tiles.values.wait(tile);
    __syncwarp();
    if (lane == 0) {
      tiles.keys.release(tile);
      tiles.values.release(tile);
    }
  }
  return tile;
}

// Fills the tiles of all strands that the block takes off the queue, for one item after the other
// or for pairs of items. Tiles are filled across the borders of key ranges, in pieces of as many
// rows as powers of two give; behind the last key with zeros, which the copy engine gives outside
// the tensor. Call: SparseForward or SparseBackward.
template <typename Call, int kHeadDim, int kStages>
class TileFiller {
 public:
  __device__ TileFiller(ItemTiles<kHeadDim, kStages>& tiles, const Call& call,
                        const PieceMaps& keys_maps, const PieceMaps& values_maps)
      : tiles_(tiles), call_(call), keys_maps_(keys_maps), values_maps_(values_maps) {}

  // pairs: whether two groups of warps take items with the same keys side by side.
  __device__ void run(const StrandQueue& queue, bool pairs) {
    const SparseSelection& lists = call_.selection;
    const int32_t count = *queue.count;
    for (int32_t place = atomicAdd(queue.next, 1); place < count;
         place = atomicAdd(queue.next, 1)) {
      const SparseStrand strand = lists.strands[queue.strands[place]];
      for (int32_t i = 0; i < strand.num_items; ++i) {
        const SparseItem item = lists.items[strand.first_item + i];
        TileNote note{.head = strand.batch * call_.heads + strand.head,
                      .rows = {{item.first_row, item.num_rows}},
                      .merges = strand.merges};
        if (pairs && i + 1 < strand.num_items) {
          const SparseItem next = lists.items[strand.first_item + i + 1];
          if (are_pair(item, next)) {
            note.rows[1] = {next.first_row, next.num_rows};
            ++i;
          }
        }
        fill_item(item, note);
      }
    }
    tiles_.keys.wait_for_release(tile_);
    tiles_.notes[tile_ % kStages] = {.rows = {{.count = -1}}};
    tiles_.keys.end_fill(tile_);
  }

 private:
  // The keys of the item, also for its pair.
  __device__ void fill_item(const SparseItem& item, TileNote& note) {
    const RangeSegments ranges{call_.selection.range_ids, call_.selection.ranges};
    SegmentCursor cursor(ranges, item.first_range, item.first_range + item.num_ranges);
    int32_t offset = 0;
    Segment segment = cursor.rest(ranges, offset);
    do {
      tiles_.keys.wait_for_release(tile_);
      tiles_.values.wait_for_release(tile_);
      int32_t filled = 0;
      if (segment.count > 0) {
        tiles_.keys.expect(tile_);
        tiles_.values.expect(tile_);
        while (filled < kKeys && segment.count > 0) {
          const int32_t rows = min(kKeys - filled, segment.count);
          copy(filled, rows, segment.first, note.head);
          filled += rows;
          offset += rows;
          segment = cursor.rest(ranges, offset);
        }
        copy(filled, kKeys - filled, static_cast<int32_t>(call_.selection.num_keys), note.head);
      }
      note.num_keys = static_cast<int16_t>(filled);
      note.last = segment.count == 0;
      tiles_.notes[tile_ % kStages] = note;
      tiles_.keys.end_fill(tile_);
      tiles_.values.end_fill(tile_);
      ++tile_;
    } while (segment.count > 0);
  }

  __device__ void copy(int row, int num_rows, int first_position, int32_t head) {
    const int of_wave = head - call_.k.first_head;
    tiles_.keys.copy_piece(tile_, row, num_rows, keys_maps_, first_position, of_wave);
    tiles_.values.copy_piece(tile_, row, num_rows, values_maps_, first_position, of_wave);
  }

  ItemTiles<kHeadDim, kStages>& tiles_;
  const Call& call_;
  const PieceMaps& keys_maps_;
  const PieceMaps& values_maps_;
  int tile_ = 0;
};

}  // namespace sparsescope::cuda::sm90
