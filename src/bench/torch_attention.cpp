#include "bench/torch_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cmath>

#include "bench/timing.h"
#include "core/error.h"
#include "kernels/cuda/cuda_attention.h"
#include "model/torch_backend.h"

namespace sparsescope {
namespace {

at::ScalarType torch_type(Dtype dtype) {
  if (dtype == Dtype::kBF16) return at::kBFloat16;
  return dtype == Dtype::kF16 ? at::kHalf : at::kFloat;
}

template <typename Body>
void with_torch_errors(const Body& body) {
  try {
    body();
  } catch (const c10::Error& error) {
    fail(ErrorKind::kInternal, "LibTorch's attention: {}", error.what_without_backtrace());
  }
}

at::Tensor view_of(const AttentionTensor& x, const at::Device& device) {
  return at::from_blob(const_cast<void*>(x.data), {x.batch, x.heads, x.tokens, x.head_dim},
                       at::TensorOptions(device).dtype(torch_type(x.dtype)));
}

at::Device torch_device(const Device& device) {
  const std::string reason = why_no_torch_device(device);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, reason.empty(), "{}", reason);
  if (!device.is_cuda()) return at::kCPU;
  return {at::kCUDA, static_cast<c10::DeviceIndex>(device.index)};
}

// Others are turned off, so that none takes the backend's place unseen.
void allow_only(TorchBackend backend) {
  if (backend == TorchBackend::kDefault) return;
  at::Context& context = at::globalContext();
  context.setSDPUseCuDNN(backend == TorchBackend::kCudnn);
  context.setSDPUseFlash(backend == TorchBackend::kFlash);
  context.setSDPUseMemEfficient(false);
  context.setSDPUseMath(false);
}

// LibTorch's results lie in [B, S, H, D] order: copying them out is not part of what is timed.
void copy_out(const at::Tensor& tensor, float* out) {
  if (out != nullptr) at::from_blob(out, tensor.sizes(), at::kFloat).copy_(tensor.cpu());
}

}  // namespace

struct TorchAttention::State {
  at::Device device;
  TorchBackend backend;
  at::Tensor q, k, v;
  std::vector<at::Tensor> leaves;  // q, k, v with gradients
  at::Tensor out, d_out;
};

std::string torch_version() { return TORCH_VERSION; }
std::string torch_cpu_capability() { return at::get_cpu_capability(); }
void set_torch_threads(int threads) { at::set_num_threads(threads); }

double measure_gpu_peak_gflops(const Device& device) {
  constexpr int64_t kSize = 8192;
  constexpr int kRepeats = 5;
  double best = 0;
  with_torch_errors([&] {
    const c10::InferenceMode no_gradients;
    const at::TensorOptions options = at::TensorOptions(torch_device(device)).dtype(at::kBFloat16);
    const at::Tensor a = at::randn({kSize, kSize}, options), b = at::randn({kSize, kSize}, options);
    for (int i = 0; i <= kRepeats; ++i) {  // the first one does not count
      cuda::synchronize();
      const double start = now_seconds(TimeSource::kWall);
      const at::Tensor product = at::matmul(a, b);
      cuda::synchronize();
      const double seconds = now_seconds(TimeSource::kWall) - start;
      if (i > 0) best = std::max(best, 2e-9 * std::pow(static_cast<double>(kSize), 3) / seconds);
    }
  });
  return best;
}

TorchAttention::TorchAttention(const AttentionTensor& q, const AttentionTensor& k,
                               const AttentionTensor& v, const Device& device, TorchBackend backend)
    : state_(new State{.device = torch_device(device), .backend = backend}) {
  state_->q = view_of(q, state_->device);
  state_->k = view_of(k, state_->device);
  state_->v = view_of(v, state_->device);
}

TorchAttention::~TorchAttention() = default;

void TorchAttention::forward(float* out) {
  with_torch_errors([&] {
    const c10::InferenceMode no_gradients;
    allow_only(state_->backend);
    copy_out(at::scaled_dot_product_attention(state_->q, state_->k, state_->v), out);
  });
}

void TorchAttention::prepare_backward(const AttentionTensor& d_out) {
  with_torch_errors([&] {
    allow_only(state_->backend);
    state_->d_out = view_of(d_out, state_->device);
    state_->leaves.clear();
    for (const at::Tensor& x : {state_->q, state_->k, state_->v}) {
      state_->leaves.push_back(x.detach().requires_grad_(true));
    }
    state_->out =
        at::scaled_dot_product_attention(state_->leaves[0], state_->leaves[1], state_->leaves[2]);
  });
}

void TorchAttention::backward(float* dq, float* dk, float* dv) {
  with_torch_errors([&] {
    const auto gradients = torch::autograd::grad({state_->out}, state_->leaves, {state_->d_out},
                                                 /*retain_graph=*/true);
    copy_out(gradients[0], dq);
    copy_out(gradients[1], dk);
    copy_out(gradients[2], dv);
  });
}

}  // namespace sparsescope
