// Keeps a copy of what self-attention of chosen layers receives, and lets another hook compute.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "core/host_tensor.h"
#include "model/attention_hook.h"

namespace sparsescope {

struct RecordedCall {
  SiteKey site;
  HostTensor q, k, v;  // [B, H, S, D] fp32
};

class RecordHook : public AttentionHook {
 public:
  RecordHook(AttentionHook& inner, std::set<int64_t> layers);
  void attend(const AttentionCall& call) override;
  const std::vector<RecordedCall>& calls() const { return calls_; }  // in order of execution

 private:
  AttentionHook& inner_;
  std::set<int64_t> layers_;
  std::vector<RecordedCall> calls_;
};

}  // namespace sparsescope
