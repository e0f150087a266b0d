#include "arch/launch.h"
#include "kernels/cuda/multiply_rows.h"

namespace sparsescope::cuda {
namespace {

constexpr int kTile = 64;   // of the result, along both sides
constexpr int kDepth = 16;  // channels at a time
constexpr int kThreads = 256;
constexpr int kSide = 4;  // results of a thread, along both sides
constexpr int kPitch = kTile + 4;

// grid: tiles of columns, of rows, heads
__global__ void __launch_bounds__(kThreads)
    multiply_rows_kernel(const float* a_rows, int num_a, const float* b_rows, int num_b, int depth,
                         float* products) {
  __shared__ float a[kDepth][kPitch], b[kDepth][kPitch];
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread / (kTile / kSide) * kSide, column = thread % (kTile / kSide) * kSide;
  const int first_row = static_cast<int>(blockIdx.y) * kTile,
            first_column = static_cast<int>(blockIdx.x) * kTile;
  a_rows += int64_t{blockIdx.z} * num_a * depth;
  b_rows += int64_t{blockIdx.z} * num_b * depth;
  products += int64_t{blockIdx.z} * num_a * num_b;
  float sums[kSide][kSide] = {};
  for (int first = 0; first < depth; first += kDepth) {
    __syncthreads();
    for (int i = thread; i < kTile * kDepth; i += kThreads) {
      const int r = i / kDepth, d = i % kDepth;
      const auto at = [&](const float* rows, int row_of_all, int num_rows) {
        return first + d < depth && row_of_all < num_rows
                   ? rows[int64_t{row_of_all} * depth + first + d]
                   : 0.0f;
      };
      a[d][r] = at(a_rows, first_row + r, num_a);
      b[d][r] = at(b_rows, first_column + r, num_b);
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
      if (at_row < num_a && at_column < num_b) {
        products[int64_t{at_row} * num_b + at_column] = sums[i][j];
      }
    }
  }
}

}  // namespace

void multiply_rows(const float* a, int32_t num_a, const float* b, int32_t num_b, int32_t num_heads,
                   int32_t depth, float* products, cudaStream_t stream) {
  const auto tiles = [](int32_t rows) { return static_cast<unsigned>((rows + kTile - 1) / kTile); };
  launch(multiply_rows_kernel,
         {.grid = dim3(tiles(num_b), tiles(num_a), num_heads), .block = dim3(kThreads)}, stream, a,
         num_a, b, num_b, depth, products);
}

}  // namespace sparsescope::cuda
