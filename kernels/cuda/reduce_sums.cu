#include <algorithm>
#include <bit>

#include "arch/launch.h"
#include "kernels/cuda/reduce_sums.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostColumns = 32;  // of a block: a line of fp64
constexpr int kAtOnce = 4;        // rows that a thread has on the way

template <typename Value>
struct PlainRows {
  const Value* values;  // [rows, columns] of each head
  int64_t rows;
  int32_t columns;
  __device__ double at(int head, int64_t row, int column) const {
    return values[(head * rows + row) * columns + column];
  }
};

struct WeighedMap {
  const float* map;    // [N, N] of each head
  const float* sizes;  // [N]
  int64_t rows;
  int32_t columns;
  __device__ double at(int head, int64_t row, int column) const {
    return double{sizes[row]} * map[(head * rows + row) * columns + column];
  }
};

// grid: columns, heads. width, a power of two, of the threads lie along the columns; the others
// take a row of each.
template <typename Values>
__global__ void __launch_bounds__(kThreads)
    sum_rows_kernel(const Values values, int width, const HeadSumsOut out) {
  __shared__ double partial[kThreads];
  const int thread = static_cast<int>(threadIdx.x), head = static_cast<int>(blockIdx.y);
  const int column = static_cast<int>(blockIdx.x) * width + thread % width;
  const int stride = kThreads / width;
  double sums[kAtOnce] = {};
  if (column < values.columns) {
    int64_t row = thread / width;
    for (; row + (kAtOnce - 1) * stride < values.rows; row += kAtOnce * stride) {
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) sums[i] += values.at(head, row + i * stride, column);
    }
    for (; row < values.rows; row += stride) sums[0] += values.at(head, row, column);
  }
  partial[thread] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int half = kThreads / 2; half >= width; half /= 2) {
    __syncthreads();
    if (thread < half) partial[thread] += partial[thread + half];
  }
  if (thread < width && column < values.columns) {
    out.out[head * out.stride + column] += partial[thread];
  }
}

template <typename Values>
void run_sum_rows(const Values& values, int32_t num_heads, const HeadSumsOut& out,
                  cudaStream_t stream) {
  const int width = static_cast<int>(
      std::min<uint32_t>(kMostColumns, std::bit_ceil(static_cast<uint32_t>(values.columns))));
  launch(sum_rows_kernel<Values>,
         {.grid = dim3((values.columns + width - 1) / width, num_heads), .block = dim3(kThreads)},
         stream, values, width, out);
}

constexpr int kOffsetThreads = 64;

// grid: distances, heads, slices of the query tiles. A thread takes each tile of the slice with the
// up to eight key tiles at its distance. sums [heads, slices, N]
__global__ void __launch_bounds__(kOffsetThreads)
    offsets_kernel(const float* map, const TileAxes tiles, const float* sizes, double* sums) {
  const int N = tiles.t * tiles.h * tiles.w;
  const int distance =
      static_cast<int>(blockIdx.x) * kOffsetThreads + static_cast<int>(threadIdx.x);
  if (distance >= N) return;
  const int dw = distance % tiles.w, dh = distance / tiles.w % tiles.h,
            dt = distance / (tiles.w * tiles.h);
  const int in_slice = (N + static_cast<int>(gridDim.z) - 1) / static_cast<int>(gridDim.z);
  const int first = static_cast<int>(blockIdx.z) * in_slice, end = min(first + in_slice, N);
  const float* row = map + (int64_t{blockIdx.y} * N + first) * N;
  double sum = 0.0;
  for (int i = first; i < end; ++i, row += N) {
    const int w = i % tiles.w, h = i / tiles.w % tiles.h, t = i / (tiles.w * tiles.h);
    float masses[8];
#pragma unroll
    for (int side = 0; side < 8; ++side) {
      const int at_t = (side & 4) != 0 ? t + dt : t - dt, at_h = (side & 2) != 0 ? h + dh : h - dh,
                at_w = (side & 1) != 0 ? w + dw : w - dw;
      // Both sides of no distance are one.
      const bool twice = ((side & 4) != 0 && dt == 0) || ((side & 2) != 0 && dh == 0) ||
                         ((side & 1) != 0 && dw == 0);
      const bool inside =
          at_t >= 0 && at_t < tiles.t && at_h >= 0 && at_h < tiles.h && at_w >= 0 && at_w < tiles.w;
      masses[side] = inside && !twice ? row[(at_t * tiles.h + at_h) * tiles.w + at_w] : 0.0f;
    }
    double of_tile = 0.0;
#pragma unroll
    for (int side = 0; side < 8; ++side) of_tile += masses[side];
    sum += sizes[i] * of_tile;
  }
  sums[(int64_t{blockIdx.y} * gridDim.z + blockIdx.z) * N + distance] = sum;
}

}  // namespace

void sum_rows(const double* values, int32_t num_heads, int64_t rows, int32_t columns,
              const HeadSumsOut& out, cudaStream_t stream) {
  run_sum_rows(PlainRows<double>{values, rows, columns}, num_heads, out, stream);
}
void sum_rows(const float* values, int32_t num_heads, int64_t rows, int32_t columns,
              const HeadSumsOut& out, cudaStream_t stream) {
  run_sum_rows(PlainRows<float>{values, rows, columns}, num_heads, out, stream);
}

void sum_key_mass(const float* map, int32_t num_heads, int32_t num_tiles, const float* sizes,
                  const HeadSumsOut& out, cudaStream_t stream) {
  run_sum_rows(WeighedMap{map, sizes, num_tiles, num_tiles}, num_heads, out, stream);
}

void sum_offsets(const float* map, int32_t num_heads, const TileAxes& tiles, const float* sizes,
                 double* scratch, const HeadSumsOut& out, cudaStream_t stream) {
  const int num_tiles = tiles.t * tiles.h * tiles.w;
  launch(offsets_kernel,
         {.grid = dim3((num_tiles + kOffsetThreads - 1) / kOffsetThreads, num_heads, kOffsetSlices),
          .block = dim3(kOffsetThreads)},
         stream, map, tiles, sizes, scratch);
  sum_rows(scratch, num_heads, kOffsetSlices, num_tiles, out, stream);
}

}  // namespace sparsescope::cuda
