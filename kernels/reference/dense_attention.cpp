#include <algorithm>

#include "kernels/reference/reference.h"

namespace sparsescope::reference {
namespace {

// The statistics of one row group in fp64, and their fp32 image for the sink.
class GroupMasses {
 public:
  GroupMasses(const DenseAttentionParams& params, const RowGroup& group)
      : cells_(*params.cells), grid_(cells_.tiles.grid()) {
    const size_t cells = cells_.cells.size();
    const size_t per_block = cells + 2 + grid_.t + grid_.h + grid_.w;
    values_.resize(per_block * kRowLanes * group.num_blocks);
    for (int32_t i = 0; i < group.num_blocks; ++i) {
      const RowBlock& rows = params.rows->blocks[group.first_block + i];
      const float* base = values_.data() + i * per_block * kRowLanes;
      RowBlockMasses block;
      block.first_row = rows.first;
      block.num_rows = rows.count;
      block.mass = base;
      block.lse = block.mass + cells * kRowLanes;
      block.entropy = block.lse + kRowLanes;
      block.mass_t = block.entropy + kRowLanes;
      block.mass_h = block.mass_t + grid_.t * kRowLanes;
      block.mass_w = block.mass_h + grid_.h * kRowLanes;
      blocks_.push_back(block);
    }
  }

  void add_row(int32_t block_idx, int32_t lane, const RowSoftmax& row) {
    const RowBlockMasses& block = blocks_[block_idx];
    std::vector<double> by_t(grid_.t), by_h(grid_.h), by_w(grid_.w);
    double entropy = 0;
    for (size_t c = 0; c < cells_.cells.size(); ++c) {
      const KeyCell& cell = cells_.cells[c];
      double mass = 0;
      for (int32_t i = 0; i < cell.count; ++i) {
        const double p = row.probs[cell.first + i];
        mass += p;
        if (p > 0) entropy -= p * std::log(p);
        if (cell.tile < 0) continue;  // text has no coordinates
        const Box& box = cell.box;
        by_t[box.t0 + i / (box.h * box.w)] += p;
        by_h[box.h0 + i / box.w % box.h] += p;
        by_w[box.w0 + i % box.w] += p;
      }
      at(block.mass, c, lane) = static_cast<float>(mass);
    }
    at(block.lse, 0, lane) = static_cast<float>(row.lse);
    at(block.entropy, 0, lane) = static_cast<float>(entropy);
    for (size_t t = 0; t < by_t.size(); ++t)
      at(block.mass_t, t, lane) = static_cast<float>(by_t[t]);
    for (size_t y = 0; y < by_h.size(); ++y)
      at(block.mass_h, y, lane) = static_cast<float>(by_h[y]);
    for (size_t x = 0; x < by_w.size(); ++x)
      at(block.mass_w, x, lane) = static_cast<float>(by_w[x]);
  }

  const std::vector<RowBlockMasses>& blocks() const { return blocks_; }

 private:
  // The writable image of one value of a block's array [.., 64].
  float& at(const float* array, size_t index, int32_t lane) {
    return values_[static_cast<size_t>(array - values_.data()) + index * kRowLanes + lane];
  }

  const KeyCells& cells_;
  TokenGrid grid_;
  std::vector<float> values_;  // per block: mass, lse, entropy, mass_t, mass_h, mass_w
  std::vector<RowBlockMasses> blocks_;
};

void attend_group(const DenseAttentionParams& params, int64_t b, int64_t h, int32_t group_idx,
                  int worker) {
  const RowGroup& group = params.rows->groups[group_idx];
  const std::vector<int32_t>& keys = params.cells->order;
  const bool record = params.sink.consume != nullptr && group_idx < params.rows->num_video_groups;
  GroupMasses masses(params, record ? group : RowGroup{});
  for (int32_t i = 0; i < group.num_blocks; ++i) {
    const RowBlock& rows = params.rows->blocks[group.first_block + i];
    for (int32_t lane = 0; lane < rows.count; ++lane) {
      const int64_t token = params.rows->order[rows.first + lane];
      const RowSoftmax row = row_softmax(params.q, params.k, params.scale, b, h, token, keys.data(),
                                         static_cast<int64_t>(keys.size()));
      write_output_row(row, params.v, keys.data(), b, h, token, params.out);
      if (params.lse != nullptr) {
        params.lse[(b * params.q.heads + h) * params.q.tokens + token] =
            static_cast<float>(row.lse);
      }
      if (record) masses.add_row(i, lane, row);
    }
  }
  if (!record) return;
  params.sink.consume(params.sink.context, worker,
                      {.batch = b,
                       .head = h,
                       .group = group_idx,
                       .num_blocks = group.num_blocks,
                       .blocks = masses.blocks().data()});
}

}  // namespace

void dense_attention(const DenseAttentionParams& params, ThreadPool& pool) {
  const auto groups = static_cast<int64_t>(params.rows->groups.size());
  pool.parallel_for(params.q.batch * params.q.heads * groups, [&](int64_t item, int worker) {
    const int64_t head = item / groups;  // b * H + h
    attend_group(params, head / params.q.heads, head % params.q.heads,
                 static_cast<int32_t>(item % groups), worker);
  });
}

}  // namespace sparsescope::reference
