#include "sparse/sparse_executor.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/key_cells.h"
#include "core/row_groups.h"
#include "kernels/kernel_table.h"
#include "sparse/bsa_restore.h"
#include "sparse/dense_call.h"
#include "sparse/dense_part.h"
#include "sparse/head_selection.h"

namespace sparsescope {
namespace {

class Stopwatch {
 public:
  // Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> passed = now - last_;
    last_ = now;
    return passed.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void check_call(const AttentionCall& call, std::span<const PlanRule* const> rule_of_head) {
  SPARSESCOPE_CHECK(ErrorKind::kInternal, static_cast<int64_t>(rule_of_head.size()) == call.q.heads,
                    "sparse attention: expected a rule for each of {} heads, found {}",
                    call.q.heads, rule_of_head.size());
  const int64_t tokens = call.prefix + call.grid.tokens() + call.suffix;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, call.q.tokens == tokens,
                    "sparse attention: grid {} with {} text tokens expects {} tokens, found {}",
                    to_string(call.grid), call.prefix + call.suffix, tokens, call.q.tokens);
}

}  // namespace

struct SparseExecutor::State {
  TileShape tile;
  Impl impl;
  ThreadPool& pool;
  // Of the calls' grid and text; all dropped when these change.
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
  std::vector<std::unique_ptr<TokenLayout>> layouts;
  std::optional<KeyCells> cells;
  std::optional<RowGroups> rows;
  std::vector<SparseGroup> groups;  // of the last run

  void enter(const AttentionCall& call) {
    if (call.grid == grid && call.prefix == prefix && call.suffix == suffix) return;
    grid = call.grid;
    prefix = call.prefix;
    suffix = call.suffix;
    groups.clear();
    layouts.clear();
    cells.reset();
    rows.reset();
  }

  const TokenLayout& layout_of(const TileGrid& tiles) {
    for (const auto& layout : layouts) {
      if (layout->tiles.shape() == tiles.shape()) return *layout;
    }
    layouts.push_back(std::make_unique<TokenLayout>(make_token_layout(tiles, prefix, suffix)));
    return *layouts.back();
  }

  void run_dense_part(const AttentionCall& call, int64_t batch, int64_t batches, int64_t first,
                      int64_t count, float* lse) {
    DenseAttentionParams params = dense_part(call, batch, batches, first, count);
    if (lse != nullptr) params.lse = lse + (batch * call.q.heads + first) * call.q.tokens;
    params.cells = &*cells;
    params.rows = &*rows;
    attention_kernels(impl).dense(params, pool);
  }

  // Neighbouring dense heads share a call. The log-sum-exp has no stride of its own, so samples are
  // run together only where all heads are dense.
  void run_dense(const AttentionCall& call, std::span<const PlanRule* const> rule_of_head,
                 float* lse) {
    const int64_t heads = call.q.heads;
    if (!cells) {
      const TileGrid tiles(grid, tile);
      cells = make_key_cells(tiles, {}, prefix, suffix);
      rows = make_row_groups(tiles, prefix, suffix);
    }
    for (int64_t first = 0, last = 0; first < heads; first = last) {
      last = first + 1;
      if (rule_of_head[first] != nullptr) continue;
      while (last < heads && rule_of_head[last] == nullptr) ++last;
      if (last - first == heads) return run_dense_part(call, 0, call.q.batch, 0, heads, lse);
      for (int64_t b = 0; b < call.q.batch; ++b) {
        run_dense_part(call, b, 1, first, last - first, lse);
      }
    }
  }

  void run_sparse(const AttentionCall& call, const SparseGroup& group, float* lse) {
    if (lse != nullptr && !group.lists.restore_from.empty()) mark_pruned(call, group, lse);
    attention_kernels(impl).sparse({.q = call.q,
                                    .k = call.k,
                                    .v = call.v,
                                    .scale = call.scale,
                                    .out = call.out,
                                    .lse = lse,
                                    .selection = group.lists.view()},
                                   pool);
  }

  // Rows that no item writes hold NaN.
  void mark_pruned(const AttentionCall& call, const SparseGroup& group, float* lse) const {
    for (int64_t b = 0; b < call.q.batch; ++b) {
      for (const int64_t head : group.heads) {
        std::fill_n(lse + (b * call.q.heads + head) * call.q.tokens, call.q.tokens,
                    std::numeric_limits<float>::quiet_NaN());
      }
    }
  }

  void restore(const AttentionCall& call, const SparseGroup& group) {
    if (group.lists.restore_from.empty()) return;
    const int64_t video = group.layout->video_tokens();
    const auto num_heads = static_cast<int64_t>(group.heads.size());
    constexpr int64_t kRunTokens = 2048;
    const int64_t runs = (video + kRunTokens - 1) / kRunTokens;
    pool.parallel_for(call.q.batch * num_heads * runs, [&](int64_t item, int) {
      const int64_t first = item % runs * kRunTokens;
      const int64_t b = item / runs / num_heads, head = group.heads[item / runs % num_heads];
      const auto sources = std::span(group.lists.restore_from)
                               .subspan((b * call.q.heads + head) * video + first,
                                        std::min(kRunTokens, video - first));
      restore_pruned_rows(sources, prefix + first, b, head, call.q.head_dim, call.out);
    });
  }

  // Of d_out, what the kept queries of a group's heads answer for; other heads are left out.
  std::vector<float> gather_restored(const AttentionCall& call, const SparseGroup& group,
                                     const AttentionTensor& d_out) {
    const AttentionTensor& q = call.q;
    std::vector<float> kept(q.batch * q.heads * q.tokens * q.head_dim);
    const MutableAttentionTensor out =
        contiguous_output(kept.data(), q.heads, q.tokens, q.head_dim);
    const int64_t video = group.layout->video_tokens();
    const auto num_heads = static_cast<int64_t>(group.heads.size());
    pool.parallel_for(q.batch * num_heads, [&](int64_t item, int) {
      const int64_t b = item / num_heads, head = group.heads[item % num_heads];
      const auto sources =
          std::span(group.lists.restore_from).subspan((b * q.heads + head) * video, video);
      gather_restored_gradients(sources, prefix, b, head, d_out, out);
    });
    return kept;
  }
};

SparseExecutor::SparseExecutor(const TileShape& tile, Impl impl, ThreadPool& pool)
    : state_(new State{.tile = tile, .impl = impl, .pool = pool}) {}

SparseExecutor::~SparseExecutor() = default;

MemorySpace SparseExecutor::space() const { return space_of(state_->impl); }

SparseRun SparseExecutor::run(const AttentionCall& call,
                              std::span<const PlanRule* const> rule_of_head, float* lse) {
  check_call(call, rule_of_head);
  state_->enter(call);
  SparseRun result;
  result.density.assign(call.q.heads, 1.0);

  Stopwatch watch;
  std::vector<SparseGroup>& groups = state_->groups;
  groups = select_heads(
      call, state_->tile, rule_of_head,
      [&](const TileGrid& tiles) -> const TokenLayout& { return state_->layout_of(tiles); },
      state_->impl, state_->pool);
  result.selection_seconds += watch.lap();

  state_->run_dense(call, rule_of_head, lse);
  for (const SparseGroup& group : groups) state_->run_sparse(call, group, lse);
  result.attention_seconds += watch.lap();

  for (const SparseGroup& group : groups) state_->restore(call, group);
  result.selection_seconds += watch.lap();

  for (const SparseGroup& group : groups) {
    const std::vector<double> density =
        group.lists.density(call.q.batch, call.q.heads, call.q.tokens);
    for (const int64_t head : group.heads) {
      double sum = 0;
      for (int64_t b = 0; b < call.q.batch; ++b) sum += density[b * call.q.heads + head];
      result.density[head] = sum / static_cast<double>(call.q.batch);
    }
  }
  return result;
}

void SparseExecutor::backward(const AttentionCall& call,
                              std::span<const PlanRule* const> rule_of_head, const float* lse,
                              const AttentionTensor& d_out, const MutableAttentionTensor& dq,
                              const MutableAttentionTensor& dk, const MutableAttentionTensor& dv) {
  check_call(call, rule_of_head);
  const AttentionTensor& q = call.q;
  const auto run = [&](const BlockLists& lists, const AttentionTensor& gradient) {
    attention_kernels(state_->impl)
        .sparse_backward(
            {.q = q,
             .k = call.k,
             .v = call.v,
             .out = {call.out.data, Dtype::kF32, q.batch, q.heads, q.tokens, q.head_dim,
                     call.out.stride_batch, call.out.stride_head, call.out.stride_token},
             .d_out = gradient,
             .lse = lse,
             .scale = call.scale,
             .dq = dq,
             .dk = dk,
             .dv = dv,
             .selection = lists.view()},
            state_->pool);
  };
  if (std::find(rule_of_head.begin(), rule_of_head.end(), nullptr) != rule_of_head.end()) {
    BlockLists dense = dense_lists(q.batch, q.heads, q.tokens);
    std::erase_if(dense.strands,
                  [&](const SparseStrand& strand) { return rule_of_head[strand.head] != nullptr; });
    run(dense, d_out);
  }
  for (const SparseGroup& group : state_->groups) {
    if (group.lists.restore_from.empty()) {
      run(group.lists, d_out);
      continue;
    }
    const std::vector<float> kept = state_->gather_restored(call, group, d_out);
    run(group.lists, contiguous_attention_tensor(kept.data(), Dtype::kF32, q.batch, q.heads,
                                                 q.tokens, q.head_dim));
  }
}

}  // namespace sparsescope
