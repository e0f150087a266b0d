#include "capture/dense_hook.h"

#include <chrono>

#include "capture/layout_cache.h"
#include "kernels/cuda/cuda_attention.h"
#include "kernels/kernel_table.h"

namespace sparsescope {

struct DenseHook::State {
  Impl impl;
  ThreadPool& pool;
  PlainLayoutCache layouts;
  double seconds = 0.0;
};

DenseHook::DenseHook(Impl impl, ThreadPool& pool)
    : state_(std::make_unique<State>(State{.impl = impl, .pool = pool})) {}

DenseHook::~DenseHook() = default;

MemorySpace DenseHook::space() const { return space_of(state_->impl); }

void DenseHook::attend(const AttentionCall& call) { attend_with_lse(call, nullptr); }

void DenseHook::attend_with_lse(const AttentionCall& call, float* lse) {
  const auto start = std::chrono::steady_clock::now();
  const PlainLayout& layout = state_->layouts.get({call.grid, call.prefix, call.suffix});
  DenseAttentionParams params{.q = call.q, .k = call.k, .v = call.v};
  params.scale = call.scale;
  params.out = call.out;
  params.lse = lse;
  params.cells = &layout.cells;
  params.rows = &layout.rows;
  attention_kernels(state_->impl).dense(params, state_->pool);
  if (is_cuda(state_->impl)) cuda::synchronize();  // the time is that of the work
  state_->seconds +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double DenseHook::attention_seconds() const { return state_->seconds; }

}  // namespace sparsescope
