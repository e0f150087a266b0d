// Keeps a copy of what self-attention receives at chosen sites, and lets another hook compute.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/host_tensor.h"
#include "model/attention_hook.h"

namespace sparsescope {

struct RecordedCall {
  SiteKey site;
  int64_t prefix = 0, suffix = 0;  // text tokens around the video
  float scale = 1.0f;
  std::vector<int64_t> heads;  // that were kept
  HostTensor q, k, v;          // [B, kept heads, S, D] fp32
};

class RecordHook : public AttentionHook {
 public:
  // heads: those that are kept; empty: all.
  RecordHook(AttentionHook& inner, std::function<bool(const SiteKey&)> keeps,
             std::vector<int64_t> heads = {});
  MemorySpace space() const override { return inner_.space(); }
  void attend(const AttentionCall& call) override;
  // Since the last take, in order of execution.
  std::vector<RecordedCall> take();

 private:
  AttentionHook& inner_;
  std::function<bool(const SiteKey&)> keeps_;
  std::vector<int64_t> heads_;
  std::vector<RecordedCall> calls_;
};

}  // namespace sparsescope
