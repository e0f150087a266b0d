// The one way out of a model: self-attention hands over q, k and v and uses what comes back. The
// model knows none of its users; dense, profiling and sparse runs are hooks.
#pragma once

#include <cstdint>

#include "core/tensor_view.h"
#include "core/token_grid.h"

namespace sparsescope {

enum class Branch { kConditional = 0, kUnconditional = 1 };

// Which attention call this is. Layers are counted in execution order.
struct SiteKey {
  int64_t prompt = 0;
  Branch branch = Branch::kConditional;
  int64_t step = 0;
  int64_t layer = 0;
  int64_t expert = 0;  // Wan 2.2: 0 high noise, 1 low noise
};

struct AttentionCall {
  SiteKey site;
  TokenGrid grid;              // video tokens in raster order: S = prefix + T*Hg*Wg + suffix
  int64_t prefix = 0;          // text tokens before the video
  int64_t suffix = 0;          // text tokens behind it
  float scale = 1.0f;          // 1/sqrt(D)
  AttentionTensor q, k, v;     // [B, H, S, D] after norm and rotary embedding, before any tiling
  MutableAttentionTensor out;  // [B, H, S, D] fp32: the hook writes every row
};

class AttentionHook {
 public:
  virtual ~AttentionHook() = default;
  // Where q, k, v and out lie when attend is called: a model elsewhere moves them.
  virtual MemorySpace space() const { return MemorySpace::kHost; }
  virtual void attend(const AttentionCall& call) = 0;
};

}  // namespace sparsescope
