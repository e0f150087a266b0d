// Attention that can be pulled back: VideoTransformer::pull_back runs a block again with it and
// then hands over what the model makes of each direction behind the call.
#pragma once

#include <cstdint>

#include "model/attention_hook.h"

namespace sparsescope {

class DifferentiableHook : public AttentionHook {
 public:
  // Follows attend() of the same call, once for each direction 0, 1, ...; the call's tensors still
  // hold what they held then.
  //   d_out [B, H, S, D] fp32: gradient of <model output, direction> with respect to call.out
  //   dq, dk, dv [B, H, S, D]: its gradients with respect to q, k and v; every row is written
  // Nothing reads dq, dk and dv of layer 0, the last call of a pull-back: no need to compute them.
  virtual void attend_backward(const AttentionCall& call, int64_t direction,
                               const AttentionTensor& d_out, const MutableAttentionTensor& dq,
                               const MutableAttentionTensor& dk,
                               const MutableAttentionTensor& dv) = 0;
};

}  // namespace sparsescope
