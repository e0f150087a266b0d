#include "effects/effect_hook.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "sparse/sparse_executor.h"

namespace sparsescope {

struct EffectHook::State {
  const Plan* plan;
  ThreadPool& pool;
  SparseExecutor executor;
  SelectionEffects effects;
  EffectRows rows;
  std::vector<std::vector<float>> directions;  // each [H, S, D]
  std::vector<float> lse;                      // [H, S]
  std::vector<SiteEffects> sites;

  std::vector<const PlanRule*> rules(const AttentionCall& call) const {
    std::vector<const PlanRule*> rule_of_head(call.q.heads, nullptr);
    for (int64_t head = 0; plan != nullptr && head < call.q.heads; ++head) {
      rule_of_head[head] = plan->rule_for(call.site.step, call.site.layer, head);
    }
    return rule_of_head;
  }

  void keep(const AttentionCall& call, const AttentionTensor& d_out, std::vector<float>& to) const {
    const AttentionTensor& q = call.q;
    to.resize(q.heads * q.tokens * q.head_dim);
    pool.parallel_for(q.heads, [&](int64_t head, int) {
      const float* from = static_cast<const float*>(d_out.data) + head * d_out.stride_head;
      for (int64_t token = 0; token < q.tokens; ++token) {
        std::copy_n(from + token * d_out.stride_token, q.head_dim,
                    &to[(head * q.tokens + token) * q.head_dim]);
      }
    });
  }
};

EffectHook::EffectHook(const Plan* plan, const TileShape& tile, std::vector<Partition> partitions,
                       Impl impl, ThreadPool& pool)
    : state_(new State{.plan = plan,
                       .pool = pool,
                       .executor = SparseExecutor(tile, impl, pool),
                       .effects = SelectionEffects(tile, std::move(partitions), impl, pool)}) {}

EffectHook::~EffectHook() = default;

void EffectHook::expect(int64_t num_directions, EffectRows rows) {
  state_->directions.resize(num_directions);
  state_->rows = std::move(rows);
}

void EffectHook::attend(const AttentionCall& call) {
  SPARSESCOPE_ASSERT(call.q.batch == 1);
  state_->lse.resize(call.q.heads * call.q.tokens);
  state_->executor.run(call, state_->rules(call), state_->lse.data());
}

void EffectHook::attend_backward(const AttentionCall& call, int64_t direction,
                                 const AttentionTensor& d_out, const MutableAttentionTensor& dq,
                                 const MutableAttentionTensor& dk,
                                 const MutableAttentionTensor& dv) {
  State& state = *state_;
  const auto num_directions = std::ssize(state.directions);
  SPARSESCOPE_ASSERT(direction >= 0 && direction < num_directions && d_out.dtype == Dtype::kF32);
  state.keep(call, d_out, state.directions[direction]);
  if (call.site.layer > 0) {
    state.executor.backward(call, state.rules(call), state.lse.data(), d_out, dq, dk, dv);
  }
  if (direction + 1 < num_directions) return;
  state.sites.push_back({call.site, state.effects.measure(call, state.rows, state.directions)});
}

std::vector<SiteEffects> EffectHook::take() { return std::exchange(state_->sites, {}); }

}  // namespace sparsescope
