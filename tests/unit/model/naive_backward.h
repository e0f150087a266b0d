// Dense attention with its gradients by the definition, in double, keeping what the model made of
// each direction; and dense attention whose output is moved at one layer. Together they let the
// derivative of a model's output be taken in two ways.
#pragma once

#include <utility>

#include "model/differentiable_hook.h"
#include "unit/model/model_test_support.h"

namespace sparsescope::testing {

class NaiveDifferentiableHook : public DifferentiableHook {
 public:
  void attend(const AttentionCall& call) override { forward.attend(call); }
  void attend_backward(const AttentionCall& call, int64_t direction, const AttentionTensor& d_out,
                       const MutableAttentionTensor& dq, const MutableAttentionTensor& dk,
                       const MutableAttentionTensor& dv) override;

  NaiveHook forward;
  // [layer, direction] -> [B, H, S, D]
  std::map<std::pair<int64_t, int64_t>, HostTensor> d_out;
  std::vector<std::pair<int64_t, int64_t>> order;  // (layer, direction) as they came
};

// Adds amount * delta to the output of one layer's attention.
class MovingHook : public AttentionHook {
 public:
  MovingHook(int64_t layer, HostTensor delta, double amount)
      : layer_(layer), delta_(std::move(delta)), amount_(amount) {}
  void attend(const AttentionCall& call) override;

 private:
  int64_t layer_;
  HostTensor delta_;  // [B, H, S, D]
  double amount_;
  NaiveHook dense_;
};

double dot(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace sparsescope::testing
