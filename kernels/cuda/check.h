// CUDA's return codes as exceptions.
#pragma once

#include <cuda_runtime.h>

namespace sparsescope::cuda {

// Error(kResource) where memory ran out, Error(kDevice) for any other failure; what says what was
// tried.
void check_cuda(cudaError_t result, const char* what);

}  // namespace sparsescope::cuda
