#include "sparse/vmoba_selector.h"

#include <algorithm>
#include <limits>

#include "capture/vmoba_rule.h"
#include "core/error.h"
#include "sparse/dot_products.h"
#include "sparse/gather_rows.h"
#include "sparse/tile_scores.h"
#include "sparse/top_k.h"

namespace sparsescope {
namespace {

constexpr int64_t kRunRows = 512;  // queries whose gates are computed, and ranked, together

GatePool gate_pool(VmobaPool pool) {
  switch (pool) {
    case VmobaPool::kQueryHead:
      return GatePool::kQueryHead;
    case VmobaPool::kHeadGlobal:
      return GatePool::kHeadGlobal;
    case VmobaPool::kBlock:
      return GatePool::kBlock;
    case VmobaPool::kOverall:
      return GatePool::kOverall;
  }
  fail(ErrorKind::kInternal, "VMoBA pool of an unknown kind");
}

GateRule gate_rule(const VmobaParams& params) {
  const bool top_k = params.select == VmobaSelect::kTopK;
  return {.select = top_k ? GateSelect::kTopK : GateSelect::kThreshold,
          .pool = gate_pool(params.pool),
          .top_k = params.top_k,
          .threshold = params.threshold};
}

std::vector<int32_t> blocks_of_positions(const TokenLayout& layout) {
  std::vector<int32_t> blocks(layout.video_tokens());
  for (int64_t block = 0; block < layout.num_tiles(); ++block) {
    const KeyRange& range = layout.ranges[block];
    std::fill_n(blocks.begin() + range.first, range.count, static_cast<int32_t>(block));
  }
  return blocks;
}

// The selection of one sample, worked out by runs of queries.
class Selector {
 public:
  Selector(const AttentionTensor& q, const AttentionTensor& k, int64_t batch,
           std::span<const int64_t> heads, const TokenLayout& layout, const VmobaParams& params,
           Impl impl, ThreadPool& pool)
      : q_(q),
        batch_(batch),
        heads_(heads),
        layout_(layout),
        rule_(gate_rule(params)),
        impl_(impl),
        pool_(pool),
        num_blocks_(layout.num_tiles()),
        num_rows_(layout.video_tokens()),
        self_block_(blocks_of_positions(layout)),
        k_means_(heads.size()) {
    pool_.parallel_for(num_heads(), [&](int64_t h, int) {
      k_means_[h] = tile_means(impl_, k, batch_, heads_[h], layout_);
    });
  }

  std::vector<VmobaSelection> run() {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, rule_.select == GateSelect::kThreshold || rule_.top_k >= 1,
                      "VMoBA: top-k expected at least 1, found {}", rule_.top_k);
    std::vector<VmobaSelection> selections(heads_.size());
    for (VmobaSelection& selection : selections) {
      selection = {.num_blocks = num_blocks_, .num_rows = num_rows_};
    }
    if (rule_.pool == GatePool::kQueryHead) {
      select_by_query(selections);
    } else {
      select_over_queries(selections);
    }
    return selections;
  }

 private:
  int64_t num_heads() const { return static_cast<int64_t>(heads_.size()); }
  int64_t num_runs() const { return (num_rows_ + kRunRows - 1) / kRunRows; }
  int64_t run_rows(int64_t run) const { return std::min(kRunRows, num_rows_ - run * kRunRows); }

  std::vector<float> gather_run(int64_t h, int64_t run) const {
    const int64_t rows = run_rows(run);
    std::vector<float> q_rows(rows * q_.head_dim);
    gather_rows(q_, batch_, heads_[h], std::span(layout_.order).subspan(run * kRunRows, rows),
                q_rows.data());
    return q_rows;
  }

  void multiply(DotProductsParams params) const {
    std::vector<float> panel;
    params.head_dim = q_.head_dim;
    dot_products(impl_, params, panel);
  }

  // gates [N, stride] of the run's queries from column 0 on.
  void compute_gates(int64_t h, int64_t run, float* gates, int64_t stride) const {
    const std::vector<float> q_rows = gather_run(h, run);
    multiply({.a = k_means_[h].data(),
              .num_a = num_blocks_,
              .b = q_rows.data(),
              .num_b = run_rows(run),
              .out = gates,
              .stride_out = stride});
  }

  // A pool is one query: runs are independent, and no buffer grows with S * N but the mask.
  void select_by_query(std::vector<VmobaSelection>& selections) {
    for (VmobaSelection& selection : selections) selection.mask.resize(num_blocks_ * num_rows_);
    pool_.parallel_for(num_heads() * num_runs(), [&](int64_t item, int) {
      const int64_t h = item / num_runs(), run = item % num_runs();
      uint8_t* mask = &selections[h].mask[run * kRunRows];
      if (rule_.select == GateSelect::kTopK) {
        rank_run(h, run, mask);
      } else {
        apply_rule_to_run(h, run, mask);
      }
    });
  }

  // Top-k of single queries, without sorting: the own block outranks all others.
  void rank_run(int64_t h, int64_t run, uint8_t* mask) const {
    const int64_t rows = run_rows(run);
    const std::vector<float> q_rows = gather_run(h, run);
    std::vector<float> gates(rows * num_blocks_);  // [rows, N]
    multiply({.a = q_rows.data(),
              .num_a = rows,
              .b = k_means_[h].data(),
              .num_b = num_blocks_,
              .out = gates.data(),
              .stride_out = num_blocks_});
    std::vector<float> scratch;
    std::vector<int32_t> best;
    for (int64_t r = 0; r < rows; ++r) {
      const int32_t own = self_block_[run * kRunRows + r];
      const std::span<float> row = std::span(gates).subspan(r * num_blocks_, num_blocks_);
      row[own] = std::numeric_limits<float>::infinity();
      best.clear();
      append_top_k(row, rule_.top_k, scratch, best);
      for (const int32_t c : best) mask[c * num_rows_ + r] = 1;
    }
  }

  void apply_rule_to_run(int64_t h, int64_t run, uint8_t* mask) const {
    const int64_t rows = run_rows(run);
    std::vector<float> gates(num_blocks_ * rows);  // [N, rows]
    compute_gates(h, run, gates.data(), rows);
    const std::vector<uint8_t> selected =
        select_blocks({.gate = gates.data(),
                       .heads = 1,
                       .blocks = num_blocks_,
                       .tokens = rows,
                       .self_block = std::span(self_block_).subspan(run * kRunRows, rows)},
                      rule_);
    for (int64_t c = 0; c < num_blocks_; ++c) {
      std::copy_n(&selected[c * rows], rows, mask + c * num_rows_);
    }
  }

  // Pools over the queries of a head, or of all heads.
  void select_over_queries(std::vector<VmobaSelection>& selections) {
    const int64_t head_size = num_blocks_ * num_rows_;
    std::vector<float> gates(num_heads() * head_size);  // [H, N, S]
    pool_.parallel_for(num_heads() * num_runs(), [&](int64_t item, int) {
      const int64_t h = item / num_runs(), run = item % num_runs();
      compute_gates(h, run, &gates[h * head_size + run * kRunRows], num_rows_);
    });
    const bool by_head = rule_.pool == GatePool::kHeadGlobal;
    const int64_t heads_a_pool = by_head ? 1 : num_heads();
    pool_.parallel_for(num_heads() / heads_a_pool, [&](int64_t part, int) {
      const std::vector<uint8_t> mask =
          select_blocks({.gate = &gates[part * heads_a_pool * head_size],
                         .heads = heads_a_pool,
                         .blocks = num_blocks_,
                         .tokens = num_rows_,
                         .self_block = self_block_},
                        rule_);
      for (int64_t h = 0; h < heads_a_pool; ++h) {
        selections[part * heads_a_pool + h].mask.assign(mask.begin() + h * head_size,
                                                        mask.begin() + (h + 1) * head_size);
      }
    });
  }

  const AttentionTensor& q_;
  int64_t batch_;
  std::span<const int64_t> heads_;
  const TokenLayout& layout_;
  GateRule rule_;
  Impl impl_;
  ThreadPool& pool_;
  int64_t num_blocks_, num_rows_;
  std::vector<int32_t> self_block_;          // [S_video] by position
  std::vector<std::vector<float>> k_means_;  // [H][N, D]
};

}  // namespace

std::vector<VmobaSelection> select_vmoba(const AttentionTensor& q, const AttentionTensor& k,
                                         int64_t batch, std::span<const int64_t> heads,
                                         const TokenLayout& layout, const VmobaParams& params,
                                         Impl impl, ThreadPool& pool) {
  return Selector(q, k, batch, heads, layout, params, impl, pool).run();
}

}  // namespace sparsescope
