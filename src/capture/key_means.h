// Mean keys of tiles and of the blocks of partitions, from one pass over the keys.
#pragma once

#include <cstdint>
#include <vector>

#include "capture/call_layout.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/row_stats.h"

namespace sparsescope {

struct KeyMeans {
  int64_t head_dim = 0;
  int64_t num_tiles = 0;
  int64_t partition_blocks = 0;
  std::vector<float> tiles;   // [H, N, D]
  std::vector<float> blocks;  // [H, blocks of all partitions, D]

  const float* tiles_of(int64_t head) const { return &tiles[head * num_tiles * head_dim]; }
  const float* blocks_of(int64_t head, int64_t first_block) const {
    return blocks.data() + (head * partition_blocks + first_block) * head_dim;
  }
};

// Of batch entry 0. Sums run in fp64.
KeyMeans compute_key_means(const AttentionTensor& k, const CallLayout& layout,
                           const RowStatsKernels& kernels, ThreadPool& pool);

}  // namespace sparsescope
