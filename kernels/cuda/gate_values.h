// The entries that VMoBA's statistics run on: the gates of sampled queries to the blocks of all
// partitions, and the probability of those queries on the blocks. Both lie [heads, blocks, rows].
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sparsescope::cuda {

// A block of a partition; blocks are numbered over all partitions.
struct GateBlock {
  int32_t partition = 0;
  int32_t first_block = 0, num_blocks = 0;  // of the partition
  int32_t size = 0;                         // tokens
};

// Sampled rows of some heads.
struct GateRows {
  const GateBlock* blocks = nullptr;         // [num_blocks]
  const int32_t* partition_first = nullptr;  // [num_partitions] first block
  int32_t num_blocks = 0, num_partitions = 0;
  int32_t most_blocks = 0;  // of a partition
  int32_t num_rows = 0;     // n
  int32_t total_heads = 0;  // H
  int32_t first_head = 0, num_heads = 0;
  float* gates = nullptr;         // [num_heads, num_blocks, n]; own blocks +infinity once marked
  float* own = nullptr;           // [num_heads, num_partitions, n] gates of the own blocks
  const int32_t* self = nullptr;  // [num_partitions, n] own block, within its partition
};

// Moves the gates of own blocks to own.
void mark_own_gates(const GateRows& rows, cudaStream_t stream);

// Blocks of a finer partition that blocks consist of.
struct BlockParts {
  const int32_t* first = nullptr;  // [all blocks + 1] into parts
  const int32_t* parts = nullptr;  // ascending within a block
  int32_t all_blocks = 0;          // of all partitions
};
// Blocks that are summed together.
struct BlockList {
  const int32_t* blocks = nullptr;
  int32_t count = 0;
};

// masses [num_heads, all blocks, row_stride]: the listed blocks, of finer ones that are there.
void sum_finer_masses(const BlockParts& finer, const BlockList& list, int32_t num_heads,
                      int32_t num_rows, int32_t row_stride, float* masses, cudaStream_t stream);

}  // namespace sparsescope::cuda
