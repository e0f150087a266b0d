// The backward pass: a work item is a part of one head's strands, with gradients of K and V of its
// own; the parts of a head are summed at the end.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_attention.h"
#include "kernels/cpu/key_plan.h"
#include "kernels/cpu/packed_heads.h"
#include "kernels/cpu/row_block.h"
#include "kernels/cpu/workspace.h"

namespace sparsescope::cpu {
namespace {

constexpr int64_t kChunk = 256;  // keys whose parts one work item sums

// The arrays of a GradientTile, cut from one buffer.
GradientTile gradient_tile(int32_t lanes, int32_t head_dim, RowWorkspace& workspace) {
  const int64_t row_stride = packed_stride(head_dim);
  const size_t columns = static_cast<size_t>(head_dim) * lanes;
  const size_t rows = static_cast<size_t>(row_stride) * lanes;
  const size_t block = static_cast<size_t>(kKeyBlock) * lanes;
  float* at = workspace.gradients.reserve(2 * rows + 3 * columns + 2 * block + 2 * lanes);
  const auto take = [&at](size_t count) { return std::exchange(at, at + count); };
  GradientTile tile;
  tile.lanes = lanes;
  tile.row_stride = row_stride;
  tile.q_rows = take(rows);
  tile.d_out_rows = take(rows);
  tile.q_t = take(columns);
  tile.d_out_t = take(columns);
  tile.dq_t = take(columns);
  tile.probs = take(block);
  tile.d_scores = take(block);
  tile.lse = take(lanes);
  tile.delta = take(lanes);
  return tile;
}

// A part of the strands of one head.
class BackwardRun {
 public:
  BackwardRun(const SparseBackwardParams& params, const BlockKernels& kernels, int64_t head,
              const HeadKeys& keys, const KeyGradients& gradients, RowWorkspace& workspace)
      : params_(params),
        kernels_(kernels),
        head_(head),
        keys_(keys),
        gradients_(gradients),
        workspace_(workspace),
        dq_(params.dq.data + head / params.q.heads * params.dq.stride_batch +
            head % params.q.heads * params.dq.stride_head) {}

  // Rows of a strand that merges were zeroed before.
  void run(const SparseStrand& strand) {
    const SparseSelection& selection = params_.selection;
    for (int32_t i = 0; i < strand.num_items; ++i) {
      const SparseItem& item = selection.items[strand.first_item + i];
      const int32_t* tokens = selection.rows + item.first_row;
      const GradientTile tile = start_item(tokens, item.num_rows);
      plan_item(selection, item, workspace_.key_blocks);
      kernels_.differentiate(keys_, workspace_.key_blocks.data(),
                             static_cast<int32_t>(workspace_.key_blocks.size()), tile, gradients_);
      write_item(tile, tokens, strand.merges);
    }
  }

 private:
  // rows [lanes, stride] of the item's tokens, columns_t [D, lanes] their transpose times factor
  void gather(const AttentionTensor& from, float factor, const GradientTile& tile, float* rows,
              float* columns_t) {
    kernels_.pack_rows(token_rows(from, head_), workspace_.tokens.data(), tile.lanes,
                       keys_.head_dim, rows, tile.row_stride);
    kernels_.transpose_rows(rows, tile.row_stride, nullptr, keys_.head_dim, tile.lanes, factor,
                            columns_t);
  }

  GradientTile start_item(const int32_t* tokens, int32_t num_rows) {
    const int32_t lanes = lanes_for(num_rows);
    GradientTile tile = gradient_tile(lanes, keys_.head_dim, workspace_);
    tile.num_rows = num_rows;
    workspace_.tokens.assign(tokens, tokens + num_rows);
    workspace_.tokens.resize(lanes, tokens[num_rows - 1]);  // idle lanes repeat the last row
    gather(params_.d_out, 1.0f, tile, tile.d_out_rows, tile.d_out_t);
    const TokenRows out = token_rows(params_.out, head_);
    if (out.element == Element::kF32) {
      kernels_.transpose_rows(static_cast<const float*>(out.data), out.stride,
                              workspace_.tokens.data(), keys_.head_dim, lanes, 1.0f, tile.dq_t);
    } else {
      gather(params_.out, 1.0f, tile, tile.q_rows, tile.dq_t);
    }
    kernels_.column_dots(tile.d_out_t, tile.dq_t, keys_.head_dim, lanes, tile.delta);
    gather(params_.q, params_.scale * std::numbers::log2e_v<float>, tile, tile.q_rows, tile.q_t);
    std::fill_n(tile.dq_t, static_cast<size_t>(keys_.head_dim) * lanes, 0.0f);

    constexpr float kNever = std::numeric_limits<float>::infinity();
    for (int32_t r = 0; r < lanes; ++r) {
      const float lse = params_.lse[head_ * params_.q.tokens + workspace_.tokens[r]];
      tile.lse[r] =
          r < num_rows && std::isfinite(lse) ? lse * std::numbers::log2e_v<float> : kNever;
    }
    return tile;
  }

  void write_item(const GradientTile& tile, const int32_t* tokens, bool merges) {
    alignas(64) float scale[kRowLanes];
    std::fill_n(scale, kRowLanes, params_.scale);
    RowTile rows;
    rows.lanes = tile.lanes;
    rows.out_t = tile.dq_t;
    kernels_.write_rows(rows, keys_.head_dim, scale, merges, dq_, params_.dq.stride_token, tokens,
                        tile.num_rows);
  }

  const SparseBackwardParams& params_;
  const BlockKernels& kernels_;
  int64_t head_;  // b * H + h
  HeadKeys keys_;
  KeyGradients gradients_;
  RowWorkspace& workspace_;
  float* dq_;  // [S, D] of this head
};

struct HeadStrands {
  int64_t head = 0;  // b * H + h
  std::vector<const SparseStrand*> strands;
};

std::vector<HeadStrands> strands_by_head(const SparseSelection& selection, int64_t batch,
                                         int64_t heads) {
  std::vector<HeadStrands> all(batch * heads);
  for (int64_t i = 0; i < selection.num_strands; ++i) {
    const SparseStrand& strand = selection.strands[i];
    all[strand.batch * heads + strand.head].strands.push_back(&strand);
  }
  for (size_t head = 0; head < all.size(); ++head) all[head].head = static_cast<int64_t>(head);
  std::erase_if(all, [](const HeadStrands& head) { return head.strands.empty(); });
  return all;
}

// Parts of a head so that the threads share out all heads within a twentieth; more parts cost
// memory and a sum.
int64_t parts_per_head(int64_t heads, int64_t threads) {
  constexpr int64_t kMaxParts = 8;
  int64_t parts = 1;
  for (; parts < kMaxParts; ++parts) {
    const int64_t items = heads * parts, rounds = (items + threads - 1) / threads;
    if (20 * rounds * threads <= 21 * items) break;
  }
  return parts;
}

// All of one call to sparse_backward.
class Backward {
 public:
  Backward(const SparseBackwardParams& params, ThreadPool& pool, const BlockKernels& kernels)
      : params_(params),
        selection_(params.selection),
        pool_(pool),
        kernels_(kernels),
        packed_(params.k, params.v, selection_.key_order, selection_.num_keys, nullptr),
        stride_(packed_stride(params.k.head_dim)) {}

  void run() {
    const std::vector<HeadStrands> heads =
        strands_by_head(selection_, params_.q.batch, params_.q.heads);
    const auto num_heads = static_cast<int64_t>(heads.size());
    for (int64_t first = 0; first < num_heads; first += packed_.max_heads()) {
      run_wave({heads.begin() + first,
                heads.begin() + std::min(num_heads, first + packed_.max_heads())});
    }
  }

 private:
  // Parts are [wave head][part][dk, dv][num_keys, stride].
  int64_t part_floats() const { return 2 * selection_.num_keys * stride_; }

  void run_wave(const std::vector<HeadStrands>& wave) {
    std::vector<int64_t> heads;
    for (const HeadStrands& head : wave) heads.push_back(head.head);
    packed_.pack(heads, pool_, kernels_);
    const auto num_heads = static_cast<int64_t>(wave.size());
    const int64_t parts = parts_per_head(num_heads, pool_.size());
    thread_local AlignedBuffer buffer;
    float* sums = buffer.reserve(num_heads * parts * part_floats());

    pool_.parallel_for(num_heads, [&](int64_t i, int) { clear_unwritten(wave[i]); });
    pool_.parallel_for(num_heads * parts, [&](int64_t item, int) {
      const int64_t i = item / parts, part = item % parts;
      float* dk = sums + item * part_floats();
      std::fill_n(dk, part_floats(), 0.0f);
      BackwardRun run(params_, kernels_, heads[i], packed_.head_keys(i),
                      {.dk = dk, .dv = dk + part_floats() / 2}, row_workspace());
      const std::vector<const SparseStrand*>& strands = wave[i].strands;
      for (size_t s = part; s < strands.size(); s += parts) run.run(*strands[s]);
    });
    const int64_t chunks = (selection_.num_keys + kChunk - 1) / kChunk;
    pool_.parallel_for(num_heads * chunks, [&](int64_t item, int) {
      const int64_t i = item / chunks;
      write_keys(heads[i], sums + i * parts * part_floats(), parts, item % chunks * kChunk);
    });
  }

  void clear_unwritten(const HeadStrands& head) const {
    if (!writes_every_row(head)) clear(params_.dq, head.head);
    if (selection_.num_keys == params_.k.tokens) return;
    clear(params_.dk, head.head);
    clear(params_.dv, head.head);
  }

  bool writes_every_row(const HeadStrands& head) const {
    int64_t rows = 0;
    for (const SparseStrand* strand : head.strands) {
      if (strand->merges) return false;
      for (int32_t i = 0; i < strand->num_items; ++i) {
        rows += selection_.items[strand->first_item + i].num_rows;
      }
    }
    return rows == params_.q.tokens;
  }

  void clear(const MutableAttentionTensor& x, int64_t head) const {
    for (int64_t token = 0; token < params_.q.tokens; ++token) {
      std::fill_n(row_of(x, head, token), params_.q.head_dim, 0.0f);
    }
  }

  float* row_of(const MutableAttentionTensor& x, int64_t head, int64_t token) const {
    return x.data + head / params_.q.heads * x.stride_batch +
           head % params_.q.heads * x.stride_head + token * x.stride_token;
  }

  // Sums the parts of keys [first, first + kChunk) and puts them where their tokens stand.
  void write_keys(int64_t head, float* sums, int64_t parts, int64_t first) const {
    const int64_t last = std::min(selection_.num_keys, first + kChunk);
    for (const bool is_v : {false, true}) {
      const MutableAttentionTensor& to = is_v ? params_.dv : params_.dk;
      const float factor = is_v ? 1.0f : params_.scale;
      const float* from = sums + (is_v ? part_floats() / 2 : 0);
      for (int64_t key = first; key < last; ++key) {
        float* row = row_of(to, head, selection_.key_order[key]);
        const float* first_part = from + key * stride_;
        for (int64_t d = 0; d < params_.k.head_dim; ++d) row[d] = factor * first_part[d];
        for (int64_t part = 1; part < parts; ++part) {
          const float* other = first_part + part * part_floats();
          for (int64_t d = 0; d < params_.k.head_dim; ++d) row[d] += factor * other[d];
        }
      }
    }
  }

  const SparseBackwardParams& params_;
  const SparseSelection& selection_;
  ThreadPool& pool_;
  const BlockKernels& kernels_;
  PackedHeads packed_;
  int64_t stride_;
};

}  // namespace

void sparse_backward(const SparseBackwardParams& params, ThreadPool& pool,
                     const BlockKernels& kernels) {
  Backward(params, pool, kernels).run();
}

}  // namespace sparsescope::cpu
