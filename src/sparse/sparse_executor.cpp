#include "sparse/sparse_executor.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/error.h"
#include "core/key_cells.h"
#include "core/row_groups.h"
#include "kernels/cuda/cuda_attention.h"
#include "kernels/kernel_table.h"
#include "sparse/dense_call.h"
#include "sparse/dense_part.h"
#include "sparse/device_groups.h"
#include "sparse/selected_group.h"

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
  std::vector<std::shared_ptr<const TokenLayout>> layouts;
  std::optional<KeyCells> cells;
  std::optional<RowGroups> rows;
  DeviceSelectors device_selectors;
  SelectedGroups groups;  // of the last run

  void enter(const AttentionCall& call) {
    if (call.grid == grid && call.prefix == prefix && call.suffix == suffix) return;
    grid = call.grid;
    prefix = call.prefix;
    suffix = call.suffix;
    groups.clear();
    device_selectors.clear();
    layouts.clear();
    cells.reset();
    rows.reset();
  }

  std::shared_ptr<const TokenLayout> layout_of(const TileGrid& tiles) {
    for (const auto& layout : layouts) {
      if (layout->tiles.shape() == tiles.shape()) return layout;
    }
    return layouts.emplace_back(
        std::make_shared<TokenLayout>(make_token_layout(tiles, prefix, suffix)));
  }

  bool on_device(const AttentionCall& call) const {
    return is_cuda(impl) && call.q.space == MemorySpace::kDevice;
  }

  void select(const AttentionCall& call, std::span<const PlanRule* const> rule_of_head) {
    const GroupingCall grouping{call, tile, rule_of_head,
                                [this](const TileGrid& tiles) { return layout_of(tiles); }};
    groups = select_groups(grouping, device_selectors, impl, pool);
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

  void run_sparse(const AttentionCall& call, const SelectedGroup& group, float* lse) {
    if (lse != nullptr && group.restores()) group.mark_pruned(lse);
    attention_kernels(impl).sparse({.q = call.q,
                                    .k = call.k,
                                    .v = call.v,
                                    .scale = call.scale,
                                    .out = call.out,
                                    .lse = lse,
                                    .selection = group.view(),
                                    .copies = group.copies()},
                                   pool);
  }

  // Seconds since the last call, of work that is done.
  double lap(Stopwatch& watch, const AttentionCall& call) const {
    if (on_device(call)) cuda::synchronize();
    return watch.lap();
  }
};

SparseExecutor::SparseExecutor(const TileShape& tile, Impl impl, ThreadPool& pool)
    : state_(new State{.tile = tile,
                       .impl = impl,
                       .pool = pool,
                       .device_selectors = DeviceSelectors(host_impl(impl), pool)}) {}

SparseExecutor::~SparseExecutor() = default;

MemorySpace SparseExecutor::space() const { return space_of(state_->impl); }

SparseRun SparseExecutor::run(const AttentionCall& call,
                              std::span<const PlanRule* const> rule_of_head, float* lse) {
  check_call(call, rule_of_head);
  state_->enter(call);
  SparseRun result;
  result.density.assign(call.q.heads, 1.0);

  Stopwatch watch;
  state_->select(call, rule_of_head);
  result.selection_seconds += state_->lap(watch, call);

  state_->run_dense(call, rule_of_head, lse);
  for (const auto& group : state_->groups) state_->run_sparse(call, *group, lse);
  result.attention_seconds += state_->lap(watch, call);

  for (const auto& group : state_->groups) {
    if (group->restores_apart()) group->restore(call.out);
  }
  result.selection_seconds += state_->lap(watch, call);

  std::vector<double> density(call.q.heads, 0.0);
  for (const auto& group : state_->groups) group->add_density(density);
  for (int64_t head = 0; head < call.q.heads; ++head) {
    if (rule_of_head[head] != nullptr) {
      result.density[head] = density[head] / static_cast<double>(call.q.batch);
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
  const auto run = [&](const SparseSelection& selection, const AttentionTensor& gradient) {
    attention_kernels(state_->impl)
        .sparse_backward({.q = q,
                          .k = call.k,
                          .v = call.v,
                          .out = {call.out.data, Dtype::kF32, q.batch, q.heads, q.tokens,
                                  q.head_dim, call.out.stride_batch, call.out.stride_head,
                                  call.out.stride_token, call.out.space},
                          .d_out = gradient,
                          .lse = lse,
                          .scale = call.scale,
                          .dq = dq,
                          .dk = dk,
                          .dv = dv,
                          .selection = selection},
                         state_->pool);
  };
  if (std::find(rule_of_head.begin(), rule_of_head.end(), nullptr) != rule_of_head.end()) {
    BlockLists dense = dense_lists(q.batch, q.heads, q.tokens);
    std::erase_if(dense.strands,
                  [&](const SparseStrand& strand) { return rule_of_head[strand.head] != nullptr; });
    run(dense.view(), d_out);
  }
  for (const auto& group : state_->groups) {
    run(group->view(), group->restores() ? group->gather_gradients(d_out) : d_out);
  }
}

}  // namespace sparsescope
