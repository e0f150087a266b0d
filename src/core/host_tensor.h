// A dense fp32 tensor in host memory, row-major: latents, embeddings and model outputs outside LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

namespace sparsescope {

struct HostTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;

  static HostTensor zeros(std::vector<int64_t> shape) {
    const int64_t count =
        std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
    return {std::move(shape), std::vector<float>(static_cast<size_t>(count))};
  }
};

}  // namespace sparsescope
