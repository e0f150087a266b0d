#include "kernels/kernel_table.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "kernels/cpu/cpu_attention.h"
#include "kernels/cuda/cuda_attention.h"
#include "kernels/reference/reference.h"

namespace sparsescope {
namespace {

cpu::Isa isa_of(Impl impl) {
  switch (impl) {
    case Impl::kCpuAvx2:
      return {cpu::avx2_block_kernels()};
    case Impl::kCpuAvx512:
      return {cpu::avx512_block_kernels()};
    case Impl::kCpuAvx512Bf16:
      return {cpu::avx512_block_kernels(), &cpu::avx512bf16_pair_kernels()};
    default:
      return {cpu::base_block_kernels()};
  }
}

// On the host rows that are to take a copy would stay unwritten.
void expect_no_copies(const SparseAttentionParams& params) {
  SPARSESCOPE_ASSERT(params.copies.num_rows == 0);
}

template <Impl impl>
void dense_attention(const DenseAttentionParams& params, ThreadPool& pool) {
  cpu::dense_attention(params, pool, isa_of(impl));
}

template <Impl impl>
void sparse_attention(const SparseAttentionParams& params, ThreadPool& pool) {
  expect_no_copies(params);
  cpu::sparse_attention(params, pool, isa_of(impl));
}

// Gradients are computed in fp32 whatever the inputs are.
template <Impl impl>
void sparse_backward(const SparseBackwardParams& params, ThreadPool& pool) {
  cpu::sparse_backward(params, pool, isa_of(impl).block);
}

template <Impl impl>
constexpr AttentionKernels kCpuKernels{.dense = dense_attention<impl>,
                                       .sparse = sparse_attention<impl>,
                                       .sparse_backward = sparse_backward<impl>};

template <cuda::Body body>
constexpr AttentionKernels kCudaKernels{
    .dense = [](const DenseAttentionParams& params,
                ThreadPool&) { cuda::dense_attention(params, body); },
    .sparse = [](const SparseAttentionParams& params,
                 ThreadPool&) { cuda::sparse_attention(params, body); },
    .sparse_backward = [](const SparseBackwardParams& params,
                          ThreadPool&) { cuda::sparse_backward(params, body); }};

constexpr AttentionKernels kReferenceKernels{
    .dense = reference::dense_attention,
    .sparse =
        [](const SparseAttentionParams& params, ThreadPool& pool) {
          expect_no_copies(params);
          reference::sparse_attention(params, pool);
        },
    .sparse_backward = reference::sparse_backward};

}  // namespace

cuda::Body cuda_body(Impl impl) {
  SPARSESCOPE_ASSERT(is_cuda(impl));
  return impl == Impl::kCudaSm90 ? cuda::Body::kSm90 : cuda::Body::kSm80;
}

const AttentionKernels& attention_kernels(Impl impl) {
  const std::vector<Impl> impls = is_cuda(impl) ? available_cuda_impls() : available_impls();
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, !impls.empty(), "attention kernels: {}: {}",
                    impl_name(impl), cuda::devices().reason);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    std::find(impls.begin(), impls.end(), impl) != impls.end(),
                    "attention kernels: this machine cannot run {}; its fastest is {}",
                    impl_name(impl), impl_name(impls.back()));
  switch (impl) {
    case Impl::kReference:
      return kReferenceKernels;
    case Impl::kCpuBase:
      return kCpuKernels<Impl::kCpuBase>;
    case Impl::kCpuAvx2:
      return kCpuKernels<Impl::kCpuAvx2>;
    case Impl::kCpuAvx512:
      return kCpuKernels<Impl::kCpuAvx512>;
    case Impl::kCpuAvx512Bf16:
      return kCpuKernels<Impl::kCpuAvx512Bf16>;
    case Impl::kCudaSm80:
      return kCudaKernels<cuda::Body::kSm80>;
    case Impl::kCudaSm90:
      return kCudaKernels<cuda::Body::kSm90>;
  }
  fail(ErrorKind::kInternal, "an implementation without kernels");
}

}  // namespace sparsescope
