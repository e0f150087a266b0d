#include "sparse/row_oracle.h"

#include "core/key_cells.h"
#include "kernels/kernel_table.h"
#include "sparse/dense_part.h"
#include "sparse/top_k.h"

namespace sparsescope {
namespace {

// Receives the masses of one head's row groups.
class BestTilesOfRows {
 public:
  // positions: [S] token -> place in the layout
  BestTilesOfRows(const RowGroups& rows, const std::vector<int32_t>& positions, int64_t top_k,
                  int workers, RowSelection& selection)
      : rows_(rows),
        positions_(positions),
        top_k_(top_k),
        selection_(selection),
        scratch_(static_cast<size_t>(workers)) {
    for (Scratch& scratch : scratch_) scratch.masses.resize(selection.num_blocks);
  }

  MassSink sink() {
    return {this, [](void* context, int worker, const RowGroupMasses& masses) {
              static_cast<BestTilesOfRows*>(context)->add(worker, masses);
            }};
  }

 private:
  struct Scratch {
    std::vector<float> masses, ranked;  // [N] of one row
    std::vector<int32_t> best;          // [K]
  };

  void add(int worker, const RowGroupMasses& masses) {
    Scratch& scratch = scratch_[worker];
    for (int32_t b = 0; b < masses.num_blocks; ++b) {
      const RowBlockMasses& block = masses.blocks[b];
      for (int32_t lane = 0; lane < block.num_rows; ++lane) {
        for (int64_t tile = 0; tile < selection_.num_blocks; ++tile) {
          scratch.masses[tile] = block.mass[tile * kRowLanes + lane];
        }
        scratch.best.clear();
        append_top_k(scratch.masses, top_k_, scratch.ranked, scratch.best);
        const int64_t position = positions_[rows_.order[block.first_row + lane]];
        for (const int32_t tile : scratch.best) selection_.select_shared(tile, position);
      }
    }
  }

  const RowGroups& rows_;
  const std::vector<int32_t>& positions_;
  int64_t top_k_;
  RowSelection& selection_;
  std::vector<Scratch> scratch_;
};

std::vector<int32_t> positions_of_tokens(const TokenLayout& layout) {
  std::vector<int32_t> positions(layout.order.size());
  for (size_t at = 0; at < layout.order.size(); ++at) {
    positions[layout.order[at]] = static_cast<int32_t>(at);
  }
  return positions;
}

}  // namespace

std::vector<RowSelection> select_row_oracle(const AttentionCall& call, const TokenLayout& layout,
                                            std::span<const VsaHead> heads, Impl impl,
                                            ThreadPool& pool) {
  const int64_t num_tiles = layout.num_tiles();
  const KeyCells cells = make_key_cells(layout.tiles, {}, layout.prefix, layout.suffix);
  const RowGroups rows = make_row_groups(layout.tiles, layout.prefix, layout.suffix);
  const std::vector<int32_t> positions = positions_of_tokens(layout);
  std::vector<RowSelection> selections;
  for (const VsaHead& head : heads) {
    check_top_k(head.top_k, num_tiles);
    RowSelection& selection = selections.emplace_back(num_tiles, layout.video_tokens());
    BestTilesOfRows best(rows, positions, head.top_k, pool.size(), selection);
    DenseAttentionParams params = dense_part(call, head.batch, 1, head.head, 1);
    params.cells = &cells;
    params.rows = &rows;
    params.sink = best.sink();
    attention_kernels(impl).dense(params, pool);
  }
  return selections;
}

}  // namespace sparsescope
