#include <algorithm>
#include <span>
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
  StrandRun(const SparseAttentionParams& params, const ForwardKernels& kernels,
            const SparseStrand& strand, const HeadKeys& keys, RowWorkspace& workspace)
      : params_(params),
        selection_(params.selection),
        kernels_(kernels),
        strand_(strand),
        keys_(keys),
        workspace_(workspace),
        head_(strand.batch * params.q.heads + strand.head),
        out_(params.out.data + strand.batch * params.out.stride_batch +
             strand.head * params.out.stride_head),
        lse_(params.lse == nullptr ? nullptr : params.lse + head_ * params.q.tokens) {}

  void run() {
    const std::span items(selection_.items + strand_.first_item, strand_.num_items);
    if (strand_.merges) return run_in_rows(items);
    for (size_t i = 0; i < items.size(); ++i) {
      if (items[i].num_rows == lanes_for(items[i].num_rows)) {
        run_in_lanes(items[i]);
      } else {  // idle lanes cost nothing in the product with V
        run_in_rows(items.subspan(i, 1));
      }
    }
  }

 private:
  const int32_t* tokens(const SparseItem& item) const { return selection_.rows + item.first_row; }
  int32_t num_blocks() const { return static_cast<int32_t>(workspace_.key_blocks.size()); }

  void run_in_rows(std::span<const SparseItem> items) {
    start_merge(items);
    for (const SparseItem& item : items) merge_item(item);
    finish_merge();
  }

  void run_in_lanes(const SparseItem& item) {
    plan_item(selection_, item, workspace_.key_blocks);
    const RowTile rows =
        start_row_block(params_.q, head_, params_.scale, tokens(item), item.num_rows,
                        lanes_for(item.num_rows), kernels_, workspace_);
    kernels_.attend.plain(keys_, workspace_.key_blocks.data(), num_blocks(), rows);
    RowResults results;
    finish_rows(rows, item.num_rows, results);
    kernels_.block.write_rows(rows, keys_.head_dim, results.inverse_sum, false, out_,
                              params_.out.stride_token, tokens(item), item.num_rows);
    if (lse_ == nullptr) return;
    for (int32_t r = 0; r < item.num_rows; ++r) lse_[tokens(item)[r]] = results.lse[r];
  }

  // Gives every row of the items a place among the merged ones.
  void start_merge(std::span<const SparseItem> items) {
    std::vector<int32_t>& place = workspace_.merged_place;
    std::vector<int32_t>& merged = workspace_.merged_tokens;
    place.resize(std::max<size_t>(place.size(), params_.q.tokens), -1);
    for (const int32_t token : merged) place[token] = -1;
    merged.clear();
    for (const SparseItem& item : items) {
      const int32_t* row_tokens = tokens(item);
      for (int32_t r = 0; r < item.num_rows; ++r) {
        if (place[row_tokens[r]] >= 0) continue;
        place[row_tokens[r]] = static_cast<int32_t>(merged.size());
        merged.push_back(row_tokens[r]);
      }
    }
    merged_.stride = packed_stride(keys_.head_dim);
    const size_t rows = merged.size(), values = rows * merged_.stride;
    merged_.out = workspace_.merged.reserve(values + 2 * rows);
    merged_.maximum = merged_.out + values;
    merged_.sum = merged_.maximum + rows;
    std::fill_n(merged_.out, values, 0.0f);
    std::fill_n(merged_.maximum, rows, kNoMaximum);
    std::fill_n(merged_.sum, rows, 0.0f);
  }

  void merge_item(const SparseItem& item) {
    plan_item(selection_, item, workspace_.key_blocks);
    const int32_t* row_tokens = tokens(item);
    std::vector<int32_t>& index = workspace_.merged_index;
    index.resize(item.num_rows);
    for (int32_t r = 0; r < item.num_rows; ++r) {
      index[r] = workspace_.merged_place[row_tokens[r]];
    }
    const RowTile rows = load_queries(params_.q, head_, params_.scale, row_tokens, item.num_rows,
                                      lanes_for(item.num_rows), kernels_, workspace_);
    kernels_.attend.merged(keys_, workspace_.key_blocks.data(), num_blocks(), rows, merged_,
                           index.data(), item.num_rows);
  }

  void finish_merge() {
    const std::vector<int32_t>& merged = workspace_.merged_tokens;
    kernels_.block.write_merged(merged_, keys_.head_dim, out_, params_.out.stride_token,
                                merged.data(), std::ssize(merged));
    for (size_t i = 0; i < merged.size(); ++i) {
      if (lse_ != nullptr) lse_[merged[i]] = natural_lse(merged_.maximum[i], merged_.sum[i]);
    }
  }

  const SparseAttentionParams& params_;
  const SparseSelection& selection_;
  const ForwardKernels& kernels_;
  const SparseStrand& strand_;
  HeadKeys keys_;
  RowWorkspace& workspace_;
  int64_t head_;  // b * H + h
  float* out_;    // [S, D] of this head
  float* lse_;    // [S] of this head, may be null
  MergedRows merged_;
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
  const ForwardKernels kernels = forward_kernels(isa, params.q, params.k, params.v, params.scale);
  PackedHeads packed(params.k, params.v, selection.key_order, selection.num_keys, kernels.pairs);
  std::vector<int64_t> heads;
  std::vector<int64_t> slot(params.q.batch * params.q.heads, -1);
  for (int64_t first = 0; first < selection.num_strands;) {
    const int64_t end =
        next_wave(selection, params.q.heads, first, packed.max_heads(), heads, slot);
    packed.pack(heads, pool, isa.block);
    pool.parallel_for(end - first, [&](int64_t item, int) {
      const SparseStrand& strand = selection.strands[first + item];
      const HeadKeys keys = packed.head_keys(slot[strand.batch * params.q.heads + strand.head]);
      StrandRun(params, kernels, strand, keys, row_workspace()).run();
    });
    first = end;
  }
}

}  // namespace sparsescope::cpu
