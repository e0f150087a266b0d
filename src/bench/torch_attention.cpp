#include "bench/torch_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/headeronly/version.h>

#include "core/error.h"

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

at::Tensor view_of(const AttentionTensor& x) {
  return at::from_blob(const_cast<void*>(x.data), {x.batch, x.heads, x.tokens, x.head_dim},
                       torch_type(x.dtype));
}

// LibTorch's results lie in [B, S, H, D] order: copying them out is not part of what is timed.
void copy_out(const at::Tensor& tensor, float* out) {
  if (out != nullptr) at::from_blob(out, tensor.sizes(), at::kFloat).copy_(tensor);
}

}  // namespace

struct TorchAttention::State {
  at::Tensor q, k, v;
  std::vector<at::Tensor> leaves;  // q, k, v with gradients
  at::Tensor out, d_out;
};

std::string torch_version() { return TORCH_VERSION; }
std::string torch_cpu_capability() { return at::get_cpu_capability(); }
void set_torch_threads(int threads) { at::set_num_threads(threads); }

TorchAttention::TorchAttention(const AttentionTensor& q, const AttentionTensor& k,
                               const AttentionTensor& v)
    : state_(new State{.q = view_of(q), .k = view_of(k), .v = view_of(v)}) {}

TorchAttention::~TorchAttention() = default;

void TorchAttention::forward(float* out) {
  with_torch_errors([&] {
    const c10::InferenceMode no_gradients;
    copy_out(at::scaled_dot_product_attention(state_->q, state_->k, state_->v), out);
  });
}

void TorchAttention::prepare_backward(const AttentionTensor& d_out) {
  with_torch_errors([&] {
    state_->d_out = view_of(d_out);
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
