// A call's q, k and v on the host, or its finished out: as they are, or copied from a GPU.
#pragma once

#include <cstdint>
#include <vector>

#include "model/attention_hook.h"

namespace sparsescope {

class HostCall {
 public:
  // call's tensors must outlive this. With a GPU, out stays where it is.
  explicit HostCall(const AttentionCall& call);
  const AttentionCall& call() const { return call_; }

 private:
  void fetch(AttentionTensor& tensor);

  AttentionCall call_;
  std::vector<std::vector<uint8_t>> copies_;
};

class HostOutput {
 public:
  // call.out as it stands now, with its strides; it must outlive this.
  explicit HostOutput(const AttentionCall& call);
  const float* row(int64_t batch, int64_t head, int64_t token) const {
    return out_.data + batch * out_.stride_batch + head * out_.stride_head +
           token * out_.stride_token;
  }

 private:
  MutableAttentionTensor out_;
  std::vector<float> copy_;
};

}  // namespace sparsescope
