#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/cpu_attention.h"
#include "kernels/cpu/key_plan.h"
#include "kernels/cpu/packed_heads.h"
#include "kernels/cpu/row_block.h"
#include "kernels/cpu/workspace.h"

namespace sparsescope::cpu {
namespace {

// One strand on one worker.
class StrandRun {
 public:
  StrandRun(const SparseAttentionParams& params, const BlockKernels& kernels,
            const PairKernels* pairs, const SparseStrand& strand, const HeadKeys& keys,
            RowWorkspace& workspace)
      : params_(params),
        selection_(params.selection),
        kernels_(kernels),
        pairs_(pairs),
        strand_(strand),
        keys_(keys),
        workspace_(workspace),
        head_(strand.batch * params.q.heads + strand.head),
        out_(params.out.data + strand.batch * params.out.stride_batch +
             strand.head * params.out.stride_head),
        lse_(params.lse == nullptr ? nullptr : params.lse + head_ * params.q.tokens) {}

  void run() {
    if (strand_.merges) start_merge();
    for (int32_t i = 0; i < strand_.num_items; ++i) {
      const SparseItem& item = items()[i];
      const RowTile rows = attend_item(item);
      if (strand_.merges) {
        merge_item(item, rows);
      } else {
        write_item(item, rows);
      }
    }
    if (strand_.merges) finish_merge();
  }

 private:
  static constexpr float kUnseen = -1.0f;  // in place of a row's sum

  const SparseItem* items() const { return selection_.items + strand_.first_item; }
  const int32_t* tokens(const SparseItem& item) const { return selection_.rows + item.first_row; }

  RowTile attend_item(const SparseItem& item) {
    const RowTile rows =
        start_row_block(params_.q, head_, params_.scale, tokens(item), item.num_rows,
                        lanes_for(item.num_rows), kernels_, pairs_, workspace_);
    std::vector<KeyBlock>& blocks = workspace_.key_blocks;
    plan_item(selection_, item, blocks);
    const auto attend = pairs_ == nullptr ? kernels_.attend : pairs_->attend;
    attend(keys_, blocks.data(), static_cast<int32_t>(blocks.size()), rows);
    return rows;
  }

  void write_item(const SparseItem& item, const RowTile& rows) {
    RowResults results;
    finish_rows(rows, item.num_rows, results);
    kernels_.write_rows(rows, keys_.head_dim, results.inverse_sum, nullptr, out_,
                        params_.out.stride_token, tokens(item), item.num_rows);
    if (lse_ == nullptr) return;
    for (int32_t r = 0; r < item.num_rows; ++r) lse_[tokens(item)[r]] = results.lse[r];
  }

  // While a strand merges, its rows of the output hold sum of 2^(s - merged_max) * v.
  void start_merge() {
    merged_max_ = workspace_.merge_state.reserve(2 * static_cast<size_t>(params_.q.tokens));
    merged_sum_ = merged_max_ + params_.q.tokens;
    for_rows([&](int32_t token) { merged_sum_[token] = kUnseen; });
    workspace_.merged_tokens.clear();
    for_rows([&](int32_t token) {
      if (merged_sum_[token] != kUnseen) return;
      merged_max_[token] = kNoMaximum;
      merged_sum_[token] = 0;
      std::fill_n(out_ + token * params_.out.stride_token, keys_.head_dim, 0.0f);
      workspace_.merged_tokens.push_back(token);
    });
  }

  template <class Visit>
  void for_rows(const Visit& visit) const {
    for (int32_t i = 0; i < strand_.num_items; ++i) {
      const int32_t* row_tokens = tokens(items()[i]);
      for (int32_t r = 0; r < items()[i].num_rows; ++r) visit(row_tokens[r]);
    }
  }

  void merge_item(const SparseItem& item, const RowTile& rows) {
    const int32_t* row_tokens = tokens(item);
    MergeState state;
    for (int32_t r = 0; r < item.num_rows; ++r) {
      state.maximum[r] = merged_max_[row_tokens[r]];
      state.sum[r] = merged_sum_[row_tokens[r]];
    }
    kernels_.merge(rows, state);
    for (int32_t r = 0; r < item.num_rows; ++r) {
      merged_max_[row_tokens[r]] = state.maximum[r];
      merged_sum_[row_tokens[r]] = state.sum[r];
    }
    kernels_.write_rows(rows, keys_.head_dim, state.item_scale, state.old_scale, out_,
                        params_.out.stride_token, row_tokens, item.num_rows);
  }

  void finish_merge() {
    for (const int32_t token : workspace_.merged_tokens) {
      const float sum = merged_sum_[token];
      float* out_row = out_ + token * params_.out.stride_token;
      const float inverse = sum > 0 ? 1.0f / sum : 0.0f;
      for (int32_t d = 0; d < keys_.head_dim; ++d) out_row[d] *= inverse;
      if (lse_ != nullptr) lse_[token] = natural_lse(merged_max_[token], sum);
    }
  }

  const SparseAttentionParams& params_;
  const SparseSelection& selection_;
  const BlockKernels& kernels_;
  const PairKernels* pairs_;  // null: fp32
  const SparseStrand& strand_;
  HeadKeys keys_;
  RowWorkspace& workspace_;
  int64_t head_;                 // b * H + h
  float* out_;                   // [S, D] of this head
  float* lse_;                   // [S] of this head, may be null
  float* merged_max_ = nullptr;  // [S] log2 units
  float* merged_sum_ = nullptr;  // [S]
};

// The heads of the longest run of strands from `first` on whose heads are at most max_heads; slot
// becomes each head's place among them. Returns the end of the run.
int64_t next_wave(const SparseSelection& selection, int64_t num_heads_per_batch, int64_t first,
                  int64_t max_heads, std::vector<int64_t>& heads, std::vector<int64_t>& slot) {
  for (const int64_t head : heads) slot[head] = -1;
  heads.clear();
  int64_t end = first;
  for (; end < selection.num_strands; ++end) {
    const SparseStrand& strand = selection.strands[end];
    const int64_t head = strand.batch * num_heads_per_batch + strand.head;
    if (slot[head] >= 0) continue;
    if (static_cast<int64_t>(heads.size()) == max_heads) break;
    slot[head] = static_cast<int64_t>(heads.size());
    heads.push_back(head);
  }
  return end;
}

}  // namespace

void sparse_attention(const SparseAttentionParams& params, ThreadPool& pool, const Isa& isa) {
  const SparseSelection& selection = params.selection;
  const PairKernels* pairs = pair_kernels_for(isa, params.q, params.k, params.v, params.scale);
  PackedHeads packed(params.k, params.v, selection.key_order, selection.num_keys, pairs);
  std::vector<int64_t> heads;
  std::vector<int64_t> slot(params.q.batch * params.q.heads, -1);
  for (int64_t first = 0; first < selection.num_strands;) {
    const int64_t end =
        next_wave(selection, params.q.heads, first, packed.max_heads(), heads, slot);
    packed.pack(heads, pool, isa.block);
    pool.parallel_for(end - first, [&](int64_t item, int) {
      const SparseStrand& strand = selection.strands[first + item];
      const HeadKeys keys = packed.head_keys(slot[strand.batch * params.q.heads + strand.head]);
      StrandRun(params, isa.block, pairs, strand, keys, row_workspace()).run();
    });
    first = end;
  }
}

}  // namespace sparsescope::cpu
