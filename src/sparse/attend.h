// One attention call by any method, forward and backward. `attend` lets the method's selector
// decide and runs the decision (a BlockPlan); `attend_by_plan` runs one that was decided before.
// Both write the same `out` and gradients for the same plan. Text tokens are always dense: their
// rows attend to everything, and every video row to all of them. Selection is a constant in the
// backward pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "sparse/attend_settings.h"
#include "sparse/block_plan.h"
#include "sparse/named_array.h"

namespace sparsescope {

struct AttendInputs {
  std::string source = "inputs";         // names the tensors' origin in messages: a file
  AttentionTensor q, k, v;               // [B, H, S, D], D <= 256; S = prefix + T*Hg*Wg + suffix
  std::optional<AttentionTensor> gate;   // [B, H, S, D] of VSA's coarse output; none: 1
  std::optional<AttentionTensor> d_out;  // [B, H, S, D], needed for the backward pass
};

struct AttendRequest {
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
  MethodSettings method;
  bool backward = false;
  bool deterministic = false;  // of gradients, as SparseBackwardParams says
};

// out [B, H, S, D] always; with backward dq, dk, dv, and dgate where VSA has a gate. Beside them
//   dense   lse [B, H, S]; with mass_block mass [B, H, N, N]
//   vsa     scores [B, H, N, N], mask uint8 [B, H, N, N]
//   bsa     kept uint8 [B, H, S_video], mask uint8 [B, H, N, N]
//   vmoba   mask uint8 [B, H, S_video, blocks]
struct AttendResult {
  std::vector<NamedArray> outputs;
  std::optional<BlockPlan> plan;  // of the sparse methods
};

// Error(kData) for tensors that do not fit each other or the grid, Error(kUsage) for settings that
// cannot be met.
AttendResult attend(const AttendInputs& inputs, const AttendRequest& request, Impl impl,
                    ThreadPool& pool);

AttendResult attend_by_plan(const AttendInputs& inputs, BlockPlan plan, bool backward, Impl impl,
                            ThreadPool& pool, bool deterministic = false);

}  // namespace sparsescope
