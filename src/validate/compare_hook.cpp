#include "validate/compare_hook.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "capture/dense_hook.h"
#include "capture/host_call.h"
#include "capture/output_buffer.h"
#include "core/error.h"
#include "sparse/sparse_executor.h"
#include "validate/metrics.h"

namespace sparsescope {
namespace {

// Rows that one thread compares at a time: sums are merged in this order whatever the threads.
constexpr int64_t kRowsPerPart = 512;

// What the rows of one part of a head give.
struct PartOutcome {
  ErrorSums errors;
  double recall = 0;  // sum over computed rows
  int64_t rows = 0;   // computed: BSA's pruned rows have no mass of their own
};

// Both results of a call on the host.
struct Outputs {
  const HostOutput& dense;                       // [1, H, S, D]
  std::span<const float> sparse;                 // [H, S, D]
  std::span<const float> dense_lse, sparse_lse;  // [H, S]
  int64_t heads, tokens, head_dim;
};

}  // namespace

struct CompareHook::State {
  const Plan& plan;
  ThreadPool& pool;
  DenseHook dense;
  SparseExecutor sparse;
  Impl impl;
  OutputBuffer sparse_out;             // [H, S, D]
  OutputBuffer dense_lse, sparse_lse;  // [H, S]
  std::vector<SiteResult> sites;
  AttentionTimes times;

  State(const Plan& plan_in, Impl impl_in, ThreadPool& pool_in)
      : plan(plan_in),
        pool(pool_in),
        dense(impl_in, pool_in),
        sparse(plan_in.tile, impl_in, pool_in),
        impl(impl_in) {}

  void make_room(const AttentionTensor& q);
  SparseRun run_sparse(AttentionCall call);
  PartOutcome compare_rows(const Outputs& outputs, int64_t head, int64_t first,
                           int64_t count) const;
  std::vector<PartOutcome> compare_heads(const Outputs& outputs) const;
};

void CompareHook::State::make_room(const AttentionTensor& q) {
  const int64_t rows = q.heads * q.tokens;
  if (dense_lse.size() == rows && sparse_out.size() == rows * q.head_dim) return;
  const MemorySpace space = space_of(impl);
  sparse_out = OutputBuffer(rows * q.head_dim, space);
  dense_lse = OutputBuffer(rows, space);
  sparse_lse = OutputBuffer(rows, space);
}

SparseRun CompareHook::State::run_sparse(AttentionCall call) {
  const auto& q = call.q;
  call.out = contiguous_output(sparse_out.data(), q.heads, q.tokens, q.head_dim);
  call.out.space = sparse_out.space();
  std::vector<const PlanRule*> rule_of_head;
  for (int64_t head = 0; head < q.heads; ++head) {
    rule_of_head.push_back(plan.rule_for(call.site.step, call.site.layer, head));
  }
  return sparse.run(call, rule_of_head, sparse_lse.data());
}

PartOutcome CompareHook::State::compare_rows(const Outputs& outputs, int64_t head, int64_t first,
                                             int64_t count) const {
  const int64_t tokens = outputs.tokens;
  const auto head_dim = static_cast<size_t>(outputs.head_dim);
  PartOutcome part;
  for (int64_t row = first; row < first + count; ++row) {
    const int64_t at = head * tokens + row;
    const float* other = outputs.sparse.data() + at * outputs.head_dim;
    part.errors.add({outputs.dense.row(0, head, row), head_dim}, {other, head_dim});
    const double kept = outputs.sparse_lse[static_cast<size_t>(at)];
    if (std::isnan(kept)) continue;
    part.recall += std::exp(kept - static_cast<double>(outputs.dense_lse[static_cast<size_t>(at)]));
    ++part.rows;
  }
  return part;
}

std::vector<PartOutcome> CompareHook::State::compare_heads(const Outputs& outputs) const {
  const int64_t tokens = outputs.tokens;
  const int64_t parts = (tokens + kRowsPerPart - 1) / kRowsPerPart;
  std::vector<PartOutcome> outcomes(static_cast<size_t>(outputs.heads * parts));
  pool.parallel_for(outputs.heads * parts, [&](int64_t item, int) {
    const int64_t first = item % parts * kRowsPerPart;
    outcomes[static_cast<size_t>(item)] =
        compare_rows(outputs, item / parts, first, std::min(kRowsPerPart, tokens - first));
  });
  std::vector<PartOutcome> heads(static_cast<size_t>(outputs.heads));
  for (size_t item = 0; item < outcomes.size(); ++item) {
    PartOutcome& head = heads[item / static_cast<size_t>(parts)];
    head.errors.merge(outcomes[item].errors);
    head.recall += outcomes[item].recall;
    head.rows += outcomes[item].rows;
  }
  return heads;
}

CompareHook::CompareHook(const Plan& plan, Impl impl, ThreadPool& pool)
    : state_(std::make_unique<State>(plan, impl, pool)) {}

CompareHook::~CompareHook() = default;

MemorySpace CompareHook::space() const { return space_of(state_->impl); }

void CompareHook::attend(const AttentionCall& call) {
  SPARSESCOPE_ASSERT(call.q.batch == 1);
  State& state = *state_;
  state.make_room(call.q);
  const double before = state.dense.attention_seconds();
  state.dense.attend_with_lse(call, state.dense_lse.data());
  state.times.dense_seconds += state.dense.attention_seconds() - before;
  const SparseRun run = state.run_sparse(call);
  state.times.sparse_seconds += run.attention_seconds;
  state.times.selection_seconds += run.selection_seconds;

  const HostOutput dense_out(call);
  const std::vector<PartOutcome> heads =
      state.compare_heads({.dense = dense_out,
                           .sparse = state.sparse_out.fetched(),
                           .dense_lse = state.dense_lse.fetched(),
                           .sparse_lse = state.sparse_lse.fetched(),
                           .heads = call.q.heads,
                           .tokens = call.q.tokens,
                           .head_dim = call.q.head_dim});
  for (size_t head = 0; head < heads.size(); ++head) {
    const PartOutcome& outcome = heads[head];
    SiteResult site;
    site.prompt = call.site.prompt;
    site.branch = static_cast<int64_t>(call.site.branch);
    site.step = call.site.step;
    site.layer = call.site.layer;
    site.head = static_cast<int64_t>(head);
    site.density = run.density[head];
    // fp32 log-sum-exps: rounding may pass 1
    site.recall = std::min(1.0, outcome.recall / static_cast<double>(outcome.rows));
    site.rel_l1 = outcome.errors.rel_l1();
    site.rel_l2 = outcome.errors.rel_l2();
    site.cosine = outcome.errors.cosine();
    state.sites.push_back(site);
  }
}

std::vector<SiteResult> CompareHook::take_sites() { return std::exchange(state_->sites, {}); }

AttentionTimes CompareHook::take_times() { return std::exchange(state_->times, {}); }

}  // namespace sparsescope
