#include "kernels/cuda/cuda_attention.h"

#include "core/error.h"
#include "kernels/cuda_stub/not_compiled.h"

namespace sparsescope::cuda {

void fail_not_compiled() {
  fail(ErrorKind::kNotCompiled,
       "CUDA: this build computes on the CPU alone; scripts/setup.sh --cuda builds for GPUs");
}

const Devices& devices() {
  static const Devices none{{}, "this build computes on the CPU alone"};
  return none;
}

void use_device(int) { fail_not_compiled(); }
const DeviceInfo& current_device() { fail_not_compiled(); }
int64_t begin_memory_count() { fail_not_compiled(); }
int64_t most_memory_held() { fail_not_compiled(); }
void synchronize() { fail_not_compiled(); }
void dense_attention(const DenseAttentionParams&, Body) { fail_not_compiled(); }
void dense_attention(const DenseAttentionParams&, Body, const DeviceMassSink&) {
  fail_not_compiled();
}
void sparse_attention(const SparseAttentionParams&, Body) { fail_not_compiled(); }
void sparse_backward(const SparseBackwardParams&, Body) { fail_not_compiled(); }

}  // namespace sparsescope::cuda
