#include "kernels/cuda/dense_dispatch.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/sm90/dense_forward.h"

namespace sparsescope::cuda {

namespace {

// Hopper's body keeps the bins of two row blocks beside deeper rings: where they do not fit, large
// grids go the other way.
constexpr int64_t kHopperSharedBytes = int64_t{227} << 10;

bool runs_on_hopper(Body body, int head_dim, int64_t num_bins) {
  return body == Body::kSm90 &&
         sm90::dense_forward_shared_bytes(head_dim, num_bins) <= kHopperSharedBytes;
}

template <typename Elem, int kHeadDim>
void run(Body body, const DenseForward<Elem>& call, cudaStream_t stream) {
  const bool with_masses = call.masses.blocks != nullptr;
  if (runs_on_hopper(body, kHeadDim, with_masses ? call.masses.num_bins : 0)) {
    sm90::run_dense_forward<Elem, kHeadDim>(call, stream);
  } else {
    run_dense_forward<Elem, kHeadDim>(call, stream);
  }
}

}  // namespace

template <typename Elem>
void run_dense(Body body, int head_dim, const DenseForward<Elem>& call, cudaStream_t stream) {
  head_dim == 64 ? run<Elem, 64>(body, call, stream) : run<Elem, 128>(body, call, stream);
}

template void run_dense(Body, int, const DenseForward<__nv_bfloat16>&, cudaStream_t);
template void run_dense(Body, int, const DenseForward<__half>&, cudaStream_t);

int64_t dense_shared_bytes(Body body, int head_dim, int64_t num_bins) {
  return runs_on_hopper(body, head_dim, num_bins)
             ? sm90::dense_forward_shared_bytes(head_dim, num_bins)
             : dense_forward_shared_bytes(head_dim, num_bins);
}

int dense_row_blocks(Body body, int head_dim, bool with_masses) {
  return body == Body::kSm90 ? sm90::kDenseGroups : dense_forward_blocks(head_dim, with_masses);
}

}  // namespace sparsescope::cuda
