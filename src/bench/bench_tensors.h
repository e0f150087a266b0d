// A benchmark's tensors where its kernels compute: in host memory, or copied to a GPU.
#pragma once

#include <memory>
#include <vector>

#include "bench/agreement.h"
#include "bench/attention_problem.h"
#include "core/device.h"
#include "kernels/cuda/device_memory.h"

namespace sparsescope {

// What kernels write, [B, H, S, D] and lse [B, H, S], and its copy on the host, which is the same
// memory where they compute there.
class BenchResult {
 public:
  BenchResult(const AttentionProblem& problem, const Device& device, bool gradients);

  float* out() const { return targets_[0]; }
  float* lse() const { return targets_[1]; }
  float* dq() const { return targets_[2]; }  // null without gradients, as dk and dv
  float* dk() const { return targets_[3]; }
  float* dv() const { return targets_[4]; }
  // As they stand now.
  const AttentionResult& fetched();

 private:
  std::vector<std::vector<float>*> arrays();

  AttentionResult host_;
  std::vector<float*> targets_;                // of arrays()
  std::vector<cuda::DeviceMemory> on_device_;  // likewise; empty on the host
};

class BenchTensors {
 public:
  // problem must outlive this.
  BenchTensors(const AttentionProblem& problem, const Device& device);

  AttentionTensor q() const { return placed(problem_.q(), 0); }
  AttentionTensor k() const { return placed(problem_.k(), 1); }
  AttentionTensor v() const { return placed(problem_.v(), 2); }
  AttentionTensor d_out() const { return placed(problem_.d_out(), 3); }
  AttentionTensor view_fp32(const float* data) const;
  MutableAttentionTensor output(float* data) const;
  AttentionCall call(float* out) const;  // out: of a BenchResult
  BenchResult& new_result(bool gradients);

 private:
  AttentionTensor placed(AttentionTensor host, size_t idx) const;

  const AttentionProblem& problem_;
  Device device_;
  std::vector<cuda::DeviceMemory> inputs_;  // q, k, v, d_out; empty on the host
  std::vector<std::unique_ptr<BenchResult>> results_;
};

}  // namespace sparsescope
