// Selection of one attention call by one sparse method: every (batch, head) by its selector, joined
// into a plan, and what the selector saw and chose as arrays to write.
#pragma once

#include <vector>

#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "sparse/attend_settings.h"
#include "sparse/block_plan.h"
#include "sparse/named_array.h"

namespace sparsescope {

struct CallSelection {
  BlockPlan plan;
  std::vector<NamedArray> records;  // vsa: scores, mask; bsa: kept, mask; vmoba: mask
};

struct SelectionCall {
  AttentionTensor q, k;  // [B, H, S, D]
  float scale = 1.0f;
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
  Impl impl = Impl::kReference;
};

// Error(kUsage) for settings that cannot be met.
CallSelection select_call(const SelectionCall& call, const VsaSettings& settings, ThreadPool& pool);
CallSelection select_call(const SelectionCall& call, const BsaSettings& settings, ThreadPool& pool);
CallSelection select_call(const SelectionCall& call, const VmobaOptions& settings,
                          ThreadPool& pool);

}  // namespace sparsescope
