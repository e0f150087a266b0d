// Masses of a call as both the kernels of the host and the instrumented kernel of the device hand
// them over, made from the call's whole probability matrix.
#pragma once

#include <cstdint>
#include <vector>

#include "core/key_cells.h"
#include "core/row_groups.h"
#include "kernels/attention.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/mass_chunk.h"
#include "unit/capture/naive_statistics.h"

namespace sparsescope::testing {

// The video row blocks of one head, a row a lane. Idle lanes hold zeros.
struct HeadMasses {
  std::vector<float> cells;         // [blocks, cells, 64]
  std::vector<float> lse, entropy;  // [blocks, 64]
  std::vector<float> bins;          // [blocks, T + Hg + Wg, 64]
  std::vector<float> piece_sums;    // [blocks, pieces, 64]
  std::vector<float> row_factor;    // [blocks, 64]
};

// Key blocks are runs of 64 keys of the cells' order, whatever cells they cut. Sums of a row are
// relative to its largest score of the first of them, as in the kernel.
class MadeMasses {
 public:
  // Of the rows' video groups. cells and rows must outlive the object.
  MadeMasses(const naive::Call& call, const KeyCells& cells, const RowGroups& rows);

  const HeadMasses& head(int64_t head) const { return heads_[head]; }
  // Row group of a head as the host's sink receives it; blocks is where its blocks are described.
  RowGroupMasses group(int64_t head, int32_t group, std::vector<RowBlockMasses>& blocks) const;

  // The row blocks from first_block on of the heads from first_head on, in device memory.
  class OnDevice {
   public:
    const cuda::MassChunk& chunk() const { return chunk_; }

   private:
    friend class MadeMasses;
    cuda::MassChunk chunk_;
    cuda::DeviceBuffer<float> piece_sums_, row_factor_;
    cuda::DeviceBuffer<float> lse_, entropy_, bins_;
    cuda::DeviceBuffer<int32_t> piece_cell_;
  };
  OnDevice chunk(int32_t first_head, int32_t num_heads, int32_t first_block,
                 int32_t num_blocks) const;

 private:
  void make_pieces();
  void add_row(const std::vector<double>& probs, int64_t block, int64_t lane, HeadMasses& masses);

  const KeyCells& cells_;
  const RowGroups& rows_;
  int64_t prefix_;
  int64_t num_bins_;
  std::vector<int32_t> piece_cell_;
  std::vector<int32_t> piece_of_key_;  // by position in the cells' order
  std::vector<HeadMasses> heads_;
};

}  // namespace sparsescope::testing
