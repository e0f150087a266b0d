#include "kernels/kernel_table.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "kernels/cpu/cpu_attention.h"
#include "kernels/reference/reference.h"

namespace sparsescope {
namespace {

template <const cpu::BlockKernels& (*block_kernels)()>
void dense_attention(const DenseAttentionParams& params, ThreadPool& pool) {
  cpu::dense_attention(params, pool, block_kernels());
}

template <const cpu::BlockKernels& (*block_kernels)()>
void sparse_attention(const SparseAttentionParams& params, ThreadPool& pool) {
  cpu::sparse_attention(params, pool, block_kernels());
}

template <const cpu::BlockKernels& (*block_kernels)()>
void sparse_backward(const SparseBackwardParams& params, ThreadPool& pool) {
  cpu::sparse_backward(params, pool, block_kernels());
}

template <const cpu::BlockKernels& (*block_kernels)()>
constexpr AttentionKernels kCpuKernels{.dense = dense_attention<block_kernels>,
                                       .sparse = sparse_attention<block_kernels>,
                                       .sparse_backward = sparse_backward<block_kernels>};

constexpr AttentionKernels kReferenceKernels{.dense = reference::dense_attention,
                                             .sparse = reference::sparse_attention,
                                             .sparse_backward = reference::sparse_backward};

}  // namespace

const AttentionKernels& attention_kernels(Impl impl) {
  const std::vector<Impl> impls = available_impls();
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    std::find(impls.begin(), impls.end(), impl) != impls.end(),
                    "attention kernels: this machine cannot run {}; its fastest is {}",
                    impl_name(impl), impl_name(impls.back()));
  switch (impl) {
    case Impl::kReference:
      return kReferenceKernels;
    case Impl::kCpuBase:
      return kCpuKernels<cpu::base_block_kernels>;
    case Impl::kCpuAvx2:
      return kCpuKernels<cpu::avx2_block_kernels>;
    case Impl::kCpuAvx512:
      return kCpuKernels<cpu::avx512_block_kernels>;
  }
  fail(ErrorKind::kInternal, "an implementation without kernels");
}

}  // namespace sparsescope
