#include <algorithm>
#include <numbers>
#include <numeric>
#include <vector>

#include "kernels/cpu/cpu_attention.h"
#include "kernels/cpu/key_plan.h"
#include "kernels/cpu/packed_heads.h"
#include "kernels/cpu/row_block.h"
#include "kernels/cpu/workspace.h"

namespace sparsescope::cpu {
namespace {

// What every row group of a call shares.
struct DenseCall {
  const DenseAttentionParams& params;
  const ForwardKernels& kernels;
  const KeyPlan& plan;

  int32_t num_blocks() const { return static_cast<int32_t>(plan.blocks.size()); }
  const TokenGrid& grid() const { return params.cells->tiles.grid(); }
};

// Output and lse of a finished row block.
void write_block(const DenseCall& call, int64_t head, const RowTile& rows,
                 const RowResults& results, const int32_t* tokens, int32_t num_rows) {
  const DenseAttentionParams& p = call.params;
  float* out =
      p.out.data + head / p.q.heads * p.out.stride_batch + head % p.q.heads * p.out.stride_head;
  call.kernels.block.write_rows(rows, static_cast<int32_t>(p.q.head_dim), results.inverse_sum,
                                false, out, p.out.stride_token, tokens, num_rows);
  if (p.lse == nullptr) return;
  for (int32_t r = 0; r < num_rows; ++r) {
    p.lse[head * p.q.tokens + tokens[r]] = results.lse[r];
  }
}

void attend_plain(const DenseCall& call, int64_t head, const HeadKeys& keys, const RowBlock& block,
                  RowWorkspace& workspace) {
  const int32_t* tokens = call.params.rows->order.data() + block.first;
  const RowTile rows = start_row_block(call.params.q, head, call.params.scale, tokens, block.count,
                                       lanes_for(block.count), call.kernels, workspace);
  call.kernels.attend.plain(keys, call.plan.blocks.data(), call.num_blocks(), rows);
  RowResults results;
  finish_rows(rows, block.count, results);
  write_block(call, head, rows, results, tokens, block.count);
}

// The arrays of one row block that its group keeps until the sink has seen them.
struct BlockArrays {
  float* piece_sums;  // [pieces, 64], later [cells, 64]
  float* lse;         // [64]
  float* entropy;     // [64]
  float* bins;        // [T + Hg + Wg, 64]

  static size_t floats(const DenseCall& call) {
    const TokenGrid& grid = call.grid();
    return (call.plan.pieces.size() + 2 + grid.t + grid.h + grid.w) * kRowLanes;
  }
  BlockArrays(const DenseCall& call, float* base)
      : piece_sums(base),
        lse(piece_sums + call.plan.pieces.size() * kRowLanes),
        entropy(lse + kRowLanes),
        bins(entropy + kRowLanes) {}
};

MassTile mass_tile(const DenseCall& call, const BlockArrays& arrays, RowWorkspace& workspace) {
  const TokenGrid& grid = call.grid();
  workspace.epoch_of_block.resize(call.plan.blocks.size());
  MassTile masses;
  masses.piece_sums = arrays.piece_sums;
  masses.epoch_of_block = workspace.epoch_of_block.data();
  masses.epoch_max = workspace.epoch_max.reserve((call.plan.blocks.size() + 1) * kRowLanes);
  masses.entropy_sum = arrays.entropy;
  masses.bins = arrays.bins;
  masses.num_bins = static_cast<int32_t>(grid.t + grid.h + grid.w);
  masses.first_h_bin = static_cast<int32_t>(grid.t);
  masses.first_w_bin = static_cast<int32_t>(grid.t + grid.h);
  return masses;
}

// In place: sum of p * (s - max) in log2 units -> -sum P ln P. Rounding may leave a peaked row
// below zero.
void finish_entropy(const RowResults& results, int32_t num_rows, float* entropy) {
  for (int32_t r = 0; r < kRowLanes; ++r) {
    const float mean = entropy[r] * results.inverse_sum[r];
    entropy[r] = r < num_rows
                     ? std::max(0.0f, results.log_sum[r] - std::numbers::ln2_v<float> * mean)
                     : 0.0f;
  }
}

RowBlockMasses attend_recorded(const DenseCall& call, int64_t head, const HeadKeys& keys,
                               const RowBlock& block, const BlockArrays& arrays,
                               RowWorkspace& workspace) {
  const int32_t* tokens = call.params.rows->order.data() + block.first;
  const RowTile rows = start_row_block(call.params.q, head, call.params.scale, tokens, block.count,
                                       kRowLanes, call.kernels, workspace);
  MassTile masses = mass_tile(call, arrays, workspace);
  call.kernels.block.reset_masses(masses);
  call.kernels.attend.with_masses(keys, call.plan.blocks.data(), call.num_blocks(),
                                  call.plan.pieces.data(), rows, masses);
  RowResults results;
  finish_rows(rows, block.count, results);
  write_block(call, head, rows, results, tokens, block.count);
  call.kernels.block.finish_masses(call.plan.blocks.data(), call.num_blocks(),
                                   call.plan.pieces.data(), rows, results.inverse_sum, masses);
  finish_entropy(results, block.count, arrays.entropy);
  std::copy(results.lse, results.lse + kRowLanes, arrays.lse);
  return {.first_row = block.first,
          .num_rows = block.count,
          .mass = arrays.piece_sums,
          .lse = arrays.lse,
          .entropy = arrays.entropy,
          .mass_t = arrays.bins,
          .mass_h = arrays.bins + masses.first_h_bin * kRowLanes,
          .mass_w = arrays.bins + masses.first_w_bin * kRowLanes};
}

void attend_group(const DenseCall& call, int64_t head, const HeadKeys& keys, int32_t group_idx,
                  int worker) {
  const DenseAttentionParams& p = call.params;
  const RowGroup& group = p.rows->groups[group_idx];
  const RowBlock* blocks = p.rows->blocks.data() + group.first_block;
  RowWorkspace& workspace = row_workspace();
  if (p.sink.consume == nullptr || group_idx >= p.rows->num_video_groups) {
    for (int32_t i = 0; i < group.num_blocks; ++i) {
      attend_plain(call, head, keys, blocks[i], workspace);
    }
    return;
  }
  const size_t per_block = BlockArrays::floats(call);
  float* base = workspace.masses.reserve(per_block * group.num_blocks);
  std::vector<RowBlockMasses> masses;
  for (int32_t i = 0; i < group.num_blocks; ++i) {
    masses.push_back(attend_recorded(call, head, keys, blocks[i],
                                     BlockArrays(call, base + i * per_block), workspace));
  }
  p.sink.consume(p.sink.context, worker,
                 {.batch = head / p.q.heads,
                  .head = head % p.q.heads,
                  .group = group_idx,
                  .num_blocks = group.num_blocks,
                  .blocks = masses.data()});
}

}  // namespace

void dense_attention(const DenseAttentionParams& params, ThreadPool& pool, const Isa& isa) {
  const KeyPlan plan = plan_cells(*params.cells);
  const ForwardKernels kernels = forward_kernels(isa, params.q, params.k, params.v, params.scale);
  const DenseCall call{.params = params, .kernels = kernels, .plan = plan};
  const std::vector<int32_t>& order = params.cells->order;
  PackedHeads packed(params.k, params.v, order.data(), static_cast<int64_t>(order.size()),
                     kernels.pairs);

  const int64_t num_heads = params.q.batch * params.q.heads;
  const auto groups = static_cast<int64_t>(params.rows->groups.size());
  for (int64_t first = 0; first < num_heads; first += packed.max_heads()) {
    std::vector<int64_t> heads(std::min(packed.max_heads(), num_heads - first));
    std::iota(heads.begin(), heads.end(), first);
    packed.pack(heads, pool, isa.block);
    pool.parallel_for(static_cast<int64_t>(heads.size()) * groups, [&](int64_t item, int worker) {
      const int64_t i = item / groups;
      attend_group(call, heads[i], packed.head_keys(i), static_cast<int32_t>(item % groups),
                   worker);
    });
  }
}

}  // namespace sparsescope::cpu
