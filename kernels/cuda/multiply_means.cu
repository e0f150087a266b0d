#include "arch/launch.h"
#include "kernels/cuda/reduce_orders.h"

namespace sparsescope::cuda {
namespace {

constexpr int kTile = 64;   // of the result, along both sides
constexpr int kDepth = 16;  // channels at a time
constexpr int kThreads = 256;
constexpr int kSide = 4;  // results of a thread, along both sides
constexpr int kPitch = kTile + 4;

// grid: tiles of columns, of rows, heads
__global__ void __launch_bounds__(kThreads)
    multiply_means_kernel(const float* queries, const float* keys, int num_tiles, int head_dim,
                          float* scores) {
  __shared__ float a[kDepth][kPitch], b[kDepth][kPitch];
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread / (kTile / kSide) * kSide, column = thread % (kTile / kSide) * kSide;
  const int first_row = static_cast<int>(blockIdx.y) * kTile,
            first_column = static_cast<int>(blockIdx.x) * kTile;
  const int64_t of_head = int64_t{blockIdx.z} * num_tiles;
  float sums[kSide][kSide] = {};
  for (int first = 0; first < head_dim; first += kDepth) {
    __syncthreads();
    for (int i = thread; i < kTile * kDepth; i += kThreads) {
      const int r = i / kDepth, d = i % kDepth;
      const bool inside = first + d < head_dim;
      const auto at = [&](const float* means, int at_row) {
        return inside && at_row < num_tiles ? means[(of_head + at_row) * head_dim + first + d]
                                            : 0.0f;
      };
      a[d][r] = at(queries, first_row + r);
      b[d][r] = at(keys, first_column + r);
    }
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
#pragma unroll
      for (int i = 0; i < kSide; ++i) {
#pragma unroll
        for (int j = 0; j < kSide; ++j) {
          sums[i][j] = fmaf(a[d][row + i], b[d][column + j], sums[i][j]);
        }
      }
    }
  }
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      const int at_row = first_row + row + i, at_column = first_column + column + j;
      if (at_row < num_tiles && at_column < num_tiles) {
        scores[(of_head + at_row) * num_tiles + at_column] = sums[i][j];
      }
    }
  }
}

}  // namespace

void multiply_means(const float* queries, const float* keys, int32_t num_heads, int32_t num_tiles,
                    int32_t head_dim, float* scores, cudaStream_t stream) {
  const auto side = static_cast<unsigned>((num_tiles + kTile - 1) / kTile);
  launch(multiply_means_kernel, {.grid = dim3(side, side, num_heads), .block = dim3(kThreads)},
         stream, queries, keys, num_tiles, head_dim, scores);
}

}  // namespace sparsescope::cuda
