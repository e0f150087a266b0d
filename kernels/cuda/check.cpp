#include "kernels/cuda/check.h"

#include "core/error.h"

namespace sparsescope::cuda {

void check_cuda(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // the next call must not report this failure again
  const ErrorKind kind =
      result == cudaErrorMemoryAllocation ? ErrorKind::kResource : ErrorKind::kDevice;
  fail(kind, "{}: CUDA reports {} ({})", what, cudaGetErrorString(result),
       cudaGetErrorName(result));
}

}  // namespace sparsescope::cuda
