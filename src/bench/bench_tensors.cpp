#include "bench/bench_tensors.h"

namespace sparsescope {
namespace {

int64_t bytes_of(const AttentionTensor& x) {
  return x.batch * x.heads * x.tokens * x.head_dim * dtype_bits(x.dtype) / 8;
}

int64_t bytes_of(const std::vector<float>& values) {
  return std::ssize(values) * static_cast<int64_t>(sizeof(float));
}

}  // namespace

BenchResult::BenchResult(const AttentionProblem& problem, const Device& device, bool gradients) {
  host_.out.resize(problem.elements());
  host_.lse.resize(problem.rows());
  if (gradients) {
    for (auto* x : {&host_.dq, &host_.dk, &host_.dv}) x->resize(problem.elements());
  }
  for (std::vector<float>* array : arrays()) {
    float* target = array->empty() ? nullptr : array->data();
    if (device.is_cuda()) {
      on_device_.emplace_back(bytes_of(*array));
      target = static_cast<float*>(on_device_.back().data());
    }
    targets_.push_back(target);
  }
}

std::vector<std::vector<float>*> BenchResult::arrays() {
  return {&host_.out, &host_.lse, &host_.dq, &host_.dk, &host_.dv};
}

const AttentionResult& BenchResult::fetched() {
  const std::vector<std::vector<float>*> to = arrays();
  for (size_t i = 0; i < on_device_.size(); ++i) {
    cuda::copy_to_host(to[i]->data(), on_device_[i].data(), bytes_of(*to[i]));
  }
  return host_;
}

BenchTensors::BenchTensors(const AttentionProblem& problem, const Device& device)
    : problem_(problem), device_(device) {
  if (!device.is_cuda()) return;
  for (const AttentionTensor& x : {problem.q(), problem.k(), problem.v(), problem.d_out()}) {
    inputs_.emplace_back(bytes_of(x));
    cuda::copy_to_device(inputs_.back().data(), x.data, bytes_of(x));
  }
}

AttentionTensor BenchTensors::placed(AttentionTensor host, size_t idx) const {
  if (inputs_.empty()) return host;
  host.data = inputs_[idx].data();
  host.space = MemorySpace::kDevice;
  return host;
}

AttentionTensor BenchTensors::view_fp32(const float* data) const {
  AttentionTensor view = problem_.view_fp32(data);
  view.space = device_.space;
  return view;
}

MutableAttentionTensor BenchTensors::output(float* data) const {
  const AttentionShape& shape = problem_.shape();
  MutableAttentionTensor view = contiguous_output(data, shape.heads, shape.tokens, shape.head_dim);
  view.space = device_.space;
  return view;
}

AttentionCall BenchTensors::call(float* out) const {
  AttentionCall call = problem_.call(out);
  call.q = q();
  call.k = k();
  call.v = v();
  call.out = output(out);
  return call;
}

BenchResult& BenchTensors::new_result(bool gradients) {
  results_.push_back(std::make_unique<BenchResult>(problem_, device_, gradients));
  return *results_.back();
}

}  // namespace sparsescope
