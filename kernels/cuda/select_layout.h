// What all selection kernels are told about a call: which heads they work for, and how their tokens
// are cut into tiles or blocks. Device pointers; a plane is one (batch, head).
#pragma once

#include <cstdint>

#include "kernels/attention.h"

namespace sparsescope::cuda {

struct SelectPlanes {
  const int32_t* heads = nullptr;  // [num_planes] b * H + h
  int32_t num_planes = 0;

  SelectPlanes part(int32_t first, int32_t count) const { return {heads + first, count}; }
};

struct SelectLayout {
  const int32_t* order = nullptr;    // [S] position -> token
  const KeyRange* ranges = nullptr;  // [num_ranges] tiles, then the text where there is any
  const int32_t* tile_of = nullptr;  // [video_tokens] the tile of each position
  int32_t num_tiles = 0;             // N
  int32_t num_ranges = 0;            // N, or N + 1 with text
  int32_t video_tokens = 0;          // they stand first in the order
  int32_t text_tokens = 0;
};

// Selections are bit rows: bit j % 32 of word j / 32 says that tile j is selected.
constexpr int32_t mask_words(int32_t num_tiles) { return (num_tiles + 31) / 32; }
// Rows of scores are padded to 16 bytes; what stands behind them is unset.
constexpr int64_t score_stride(int32_t num_tiles) { return (int64_t{num_tiles} + 3) / 4 * 4; }
// Means are padded with zeros, so that products need no bound.
constexpr int32_t padded_dim(int64_t head_dim) {
  return static_cast<int32_t>((head_dim + 15) / 16 * 16);
}

// Most tiles or blocks of a selection on the device: a warp holds a row of scores in registers.
inline constexpr int32_t kMaxSelectTiles = 2560;
// Of shared memory that a thread block of any GPU has.
inline constexpr int64_t kSelectSharedBytes = 96 * 1024;
// Most strands of a head: a thread block sorts them.
inline constexpr int32_t kMaxHeadStrands = 8192;

}  // namespace sparsescope::cuda
