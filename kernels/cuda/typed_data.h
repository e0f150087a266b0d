// The element type of a tensor, from run time to compile time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "core/dtype.h"

namespace sparsescope::cuda {

// run(data as const __nv_bfloat16*, const __half* or const float*): what attention tensors hold.
template <typename Run>
void with_typed_data(const void* data, Dtype dtype, const Run& run) {
  if (dtype == Dtype::kBF16) return run(static_cast<const __nv_bfloat16*>(data));
  if (dtype == Dtype::kF16) return run(static_cast<const __half*>(data));
  run(static_cast<const float*>(data));
}

}  // namespace sparsescope::cuda
