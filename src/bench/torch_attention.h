// LibTorch's attention behind plain functions: the reference engine of the benchmarks.
#pragma once

#include <memory>
#include <string>

#include "core/tensor_view.h"

namespace sparsescope {

std::string torch_version();         // "2.11.0"
std::string torch_cpu_capability();  // "AVX512"; ATEN_CPU_CAPABILITY forces a lower one
void set_torch_threads(int threads);
// bf16 matrix product of 8,192 x 8,192 on a GPU, the best of a few: GFLOP/s.
double measure_gpu_peak_gflops(const Device& device);

// Which of LibTorch's implementations on a GPU; the host has one.
enum class TorchBackend { kDefault, kCudnn, kFlash };

// scaled_dot_product_attention on contiguous q, k, v [B, H, S, D] of one type on the device, which
// must outlive this. Error(kInternal) where the backend refuses them.
class TorchAttention {
 public:
  TorchAttention(const AttentionTensor& q, const AttentionTensor& k, const AttentionTensor& v,
                 const Device& device, TorchBackend backend);
  ~TorchAttention();

  // out [B, H, S, D] fp32 on the host may be null: the result is then dropped, and nothing is
  // copied.
  void forward(float* out);
  // Runs the forward pass that backward goes back through.
  void prepare_backward(const AttentionTensor& d_out);
  // The gradients alone; the targets [B, H, S, D] fp32 on the host may all be null.
  void backward(float* dq, float* dk, float* dv);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
