#include "arch/launch.h"
#include "kernels/cuda/multiply_rows.h"

namespace sparsescope::cuda {
namespace {

constexpr int kTile = 128;  // of the result, along both sides
constexpr int kDepth = 16;  // channels at a time
constexpr int kThreads = 256;
constexpr int kQuads = kTile / 4;       // of a row of a tile in shared memory
constexpr int kPitch = kQuads + 1;      // quads: rows of a column spread over the banks
constexpr int kAcross = kTile / 2 / 4;  // threads along a side, with four results in each half

using Tile = float4[kDepth][kPitch];  // transposed: the rows of one channel lie together

// Channels first to first + kDepth - 1 of kTile rows; zeros behind the ends.
__device__ void load_tile(const float* rows, int first_row, int num_rows, int first, int depth,
                          Tile& tile) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kDepth; i += kThreads) {
    const int r = i / kDepth, d = i % kDepth;
    const bool inside = first + d < depth && first_row + r < num_rows;
    reinterpret_cast<float*>(tile[d])[r] =
        inside ? rows[int64_t{first_row + r} * depth + first + d] : 0.0f;
  }
}

// Four rows of each half of a tile.
__device__ void load_quads(const float4* rows, int quad, float (&values)[8]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float4 four = rows[half * kQuads / 2 + quad];
    values[4 * half] = four.x;
    values[4 * half + 1] = four.y;
    values[4 * half + 2] = four.z;
    values[4 * half + 3] = four.w;
  }
}
__device__ int place_of(int quad, int i) { return i / 4 * kTile / 2 + 4 * quad + i % 4; }

// grid: tiles of columns, of rows, heads
__global__ void __launch_bounds__(kThreads)
    multiply_rows_kernel(const float* a_rows, int num_a, const float* b_rows, int num_b, int depth,
                         float* products) {
  __shared__ Tile a, b;
  const int quad_a = static_cast<int>(threadIdx.x) / kAcross,
            quad_b = static_cast<int>(threadIdx.x) % kAcross;
  const int first_a = static_cast<int>(blockIdx.y) * kTile,
            first_b = static_cast<int>(blockIdx.x) * kTile;
  a_rows += int64_t{blockIdx.z} * num_a * depth;
  b_rows += int64_t{blockIdx.z} * num_b * depth;
  products += int64_t{blockIdx.z} * num_a * num_b;
  float sums[8][8] = {};
  for (int first = 0; first < depth; first += kDepth) {
    __syncthreads();
    load_tile(a_rows, first_a, num_a, first, depth, a);
    load_tile(b_rows, first_b, num_b, first, depth, b);
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      float of_a[8], of_b[8];
      load_quads(a[d], quad_a, of_a);
      load_quads(b[d], quad_b, of_b);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) sums[i][j] = fmaf(of_a[i], of_b[j], sums[i][j]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int at_a = first_a + place_of(quad_a, i);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const int at_b = first_b + place_of(quad_b, j);
      if (at_a < num_a && at_b < num_b) products[int64_t{at_a} * num_b + at_b] = sums[i][j];
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
