#include "arch/launch.h"
#include "kernels/cuda/reduce_sums.h"

namespace sparsescope::cuda {
namespace {

constexpr int kColumns = 32, kRows = 8;  // threads of a block

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

// grid: columns, heads. Each thread adds up every kRows-th row.
template <typename Values>
__global__ void __launch_bounds__(kColumns* kRows)
    sum_rows_kernel(const Values values, const HeadSumsOut out) {
  __shared__ double partial[kRows][kColumns];
  const int x = static_cast<int>(threadIdx.x) % kColumns,
            y = static_cast<int>(threadIdx.x) / kColumns;
  const int column = static_cast<int>(blockIdx.x) * kColumns + x;
  double sum = 0.0;
  if (column < values.columns) {
    for (int64_t row = y; row < values.rows; row += kRows) {
      sum += values.at(static_cast<int>(blockIdx.y), row, column);
    }
  }
  partial[y][x] = sum;
  __syncthreads();
  if (y > 0 || column >= values.columns) return;
  for (int i = 1; i < kRows; ++i) sum += partial[i][x];
  out.out[blockIdx.y * out.stride + column] += sum;
}

template <typename Values>
void run_sum_rows(const Values& values, int32_t num_heads, const HeadSumsOut& out,
                  cudaStream_t stream) {
  launch(sum_rows_kernel<Values>,
         {.grid = dim3((values.columns + kColumns - 1) / kColumns, num_heads),
          .block = dim3(kColumns * kRows)},
         stream, values, out);
}

// grid: distances, heads. A thread takes every query tile with the up to eight key tiles at its
// distance.
__global__ void offsets_kernel(const float* map, const TileAxes tiles, const float* sizes,
                               const HeadSumsOut out) {
  const int N = tiles.t * tiles.h * tiles.w;
  const int distance = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (distance >= N) return;
  const int dw = distance % tiles.w, dh = distance / tiles.w % tiles.h,
            dt = distance / (tiles.w * tiles.h);
  const float* row = map + int64_t{blockIdx.y} * N * N;
  double sum = 0.0;
  for (int i = 0; i < N; ++i, row += N) {
    const int w = i % tiles.w, h = i / tiles.w % tiles.h, t = i / (tiles.w * tiles.h);
    double of_tile = 0.0;
    for (int it = t - dt; it <= t + dt; it += max(1, 2 * dt)) {
      if (it < 0 || it >= tiles.t) continue;
      for (int ih = h - dh; ih <= h + dh; ih += max(1, 2 * dh)) {
        if (ih < 0 || ih >= tiles.h) continue;
        for (int iw = w - dw; iw <= w + dw; iw += max(1, 2 * dw)) {
          if (iw >= 0 && iw < tiles.w) of_tile += row[(it * tiles.h + ih) * tiles.w + iw];
        }
      }
    }
    sum += sizes[i] * of_tile;
  }
  out.out[blockIdx.y * out.stride + distance] += sum;
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
                 const HeadSumsOut& out, cudaStream_t stream) {
  constexpr int kThreads = 64;
  const int num_tiles = tiles.t * tiles.h * tiles.w;
  launch(offsets_kernel,
         {.grid = dim3((num_tiles + kThreads - 1) / kThreads, num_heads), .block = dim3(kThreads)},
         stream, map, tiles, sizes, out);
}

}  // namespace sparsescope::cuda
