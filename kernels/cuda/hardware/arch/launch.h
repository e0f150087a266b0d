// Starting a kernel. Arguments are converted to the kernel's parameter types; more shared memory
// than a block gets by default is asked for here.
#pragma once

#include <cuda_runtime.h>

#include <tuple>
#include <type_traits>

#include "kernels/cuda/check.h"

namespace sparsescope::cuda {

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;  // dynamic
};

template <typename... Params>
void launch(void (*kernel)(Params...), const LaunchShape& shape, cudaStream_t stream,
            const std::type_identity_t<Params>&... arguments) {
  // What a block gets by default, 48 KB, less what kernels may have beside the dynamic part: their
  // static shared memory, rounded up to the alignment of dynamic_shared.
  constexpr size_t kDefaultSharedBytes = 32 * 1024;
  // An error to the runtime, nothing to do to callers: a selection without keys, say.
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  const auto* function = reinterpret_cast<const void*>(kernel);
  if (shape.shared_bytes > kDefaultSharedBytes) {
    check_cuda(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shape.shared_bytes)),
               "setting a kernel's shared memory");
  }
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
  check_cuda(
      cudaLaunchKernel(function, shape.grid, shape.block, pointers, shape.shared_bytes, stream),
      "launching a kernel");
}

}  // namespace sparsescope::cuda
