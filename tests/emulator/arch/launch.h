// The twin of the GPU's launch: the grid runs here and now.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "emulator/engine.h"

namespace sparsescope::cuda {

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;
};

template <typename... Params>
void launch(void (*kernel)(Params...), const LaunchShape& shape, cudaStream_t,
            const std::type_identity_t<Params>&... arguments) {
  emulator::run_grid({shape.grid, shape.block, shape.shared_bytes}, [&] { kernel(arguments...); });
}

}  // namespace sparsescope::cuda
