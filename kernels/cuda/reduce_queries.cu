#include "arch/launch.h"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce_queries.h"
#include "kernels/cuda/typed_data.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kPerLane = kMaxReducedHeadDim / 32;
constexpr double kNormFloor = 1e-12;

template <typename Element>
__device__ const Element* row_of(const TileQueries& call, int32_t head, int32_t position) {
  return static_cast<const Element*>(call.tensor.data) + head * call.tensor.stride_head +
         call.order[position] * call.tensor.stride_token;
}

// grid: tiles, heads. A thread has a channel.
template <typename Element>
__global__ void __launch_bounds__(kThreads)
    tile_means_kernel(const __grid_constant__ TileQueries call, double scale, float* means) {
  const TileRun run = call.runs[blockIdx.x];
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const auto D = static_cast<int32_t>(call.tensor.head_dim);
  const auto d = static_cast<int32_t>(threadIdx.x);
  if (d >= D) return;
  double sum = 0.0;
  for (int32_t i = 0; i < run.count; ++i) {
    sum += to_float(row_of<Element>(call, head, run.first + i)[d]);
  }
  means[(int64_t{blockIdx.y} * call.num_tiles + run.tile) * D + d] =
      static_cast<float>(sum * (scale / run.count));
}

struct LaneRow {
  float values[kPerLane];

  template <typename Element>
  __device__ void load(const Element* row, int D, int lane) {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int d = lane + 32 * i;
      values[i] = d < D ? to_float(row[d]) : 0.0f;
    }
  }
  // Equal in all lanes.
  __device__ float dot(const LaneRow& other) const {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) sum = fmaf(values[i], other.values[i], sum);
    return warp_sum(sum);
  }
};

// The row in its tile that a window is compared with: floor(extent / 2) along each clipped axis.
__device__ int centre_of(const TileRun& run, const Window& window, int row) {
  const int box_t = run.count / (run.h * run.w);
  const auto centre = [](int at, int size, int box) {
    const int corner = at - at % size;
    return corner + min(size, box - corner) / 2;
  };
  const int t = centre(row / (run.h * run.w), window.t, box_t);
  const int h = centre(row / run.w % run.h, window.h, run.h);
  const int w = centre(row % run.w, window.w, run.w);
  return (t * run.h + h) * run.w + w;
}

__device__ int bin_of(double cosine) {
  const double bin = floor((cosine + 1.0) * (kCosineBins / 2.0));
  return bin > 0.0 ? static_cast<int>(fmin(bin, kCosineBins - 1.0)) : 0;
}

// grid: tiles, heads. A warp has a row at a time; the norms of all rows come first.
template <typename Element>
__global__ void __launch_bounds__(kThreads)
    cosines_kernel(const __grid_constant__ TileQueries call, const Window* windows,
                   int32_t num_windows, int64_t num_rows, double* inverse_norms, double* sums,
                   unsigned long long* counts) {
  __shared__ double of_window[kWarps][kMaxWindows];
  __shared__ int histogram[kCosineBins];
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const TileRun run = call.runs[blockIdx.x];
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const auto D = static_cast<int>(call.tensor.head_dim);
  double* inverse_norm = inverse_norms + blockIdx.y * num_rows + run.first;

  for (int i = lane; i < num_windows; i += 32) of_window[warp][i] = 0.0;
  if (thread < kCosineBins) histogram[thread] = 0;
  LaneRow own, centre;
  for (int row = warp; row < run.count; row += kWarps) {
    own.load(row_of<Element>(call, head, run.first + row), D, lane);
    const float square = own.dot(own);
    if (lane == 0) inverse_norm[row] = 1.0 / fmax(sqrt(double{square}), kNormFloor);
  }
  __syncthreads();
  for (int row = warp; row < run.count; row += kWarps) {
    own.load(row_of<Element>(call, head, run.first + row), D, lane);
    for (int i = 0; i < num_windows; ++i) {
      const int other = centre_of(run, windows[i], row);
      if (other == row) continue;
      centre.load(row_of<Element>(call, head, run.first + other), D, lane);
      const float product = own.dot(centre);
      if (lane > 0) continue;
      const double cosine = product * inverse_norm[row] * inverse_norm[other];
      of_window[warp][i] += cosine;
      if (i == num_windows - 1) atomicAdd(&histogram[bin_of(cosine)], 1);
    }
  }
  __syncthreads();
  for (int i = thread; i < num_windows; i += kThreads) {
    double sum = 0.0;
    for (int w = 0; w < kWarps; ++w) sum += of_window[w][i];
    sums[(int64_t{blockIdx.y} * call.num_tiles + blockIdx.x) * num_windows + i] = sum;
  }
  if (thread < kCosineBins && histogram[thread] > 0) {
    atomicAdd(&counts[int64_t{blockIdx.y} * kCosineBins + thread],
              static_cast<unsigned long long>(histogram[thread]));
  }
}

}  // namespace

void reduce_tile_means(const TileQueries& call, double scale, float* means, cudaStream_t stream) {
  with_typed_data(call.tensor.data, call.tensor.dtype, [&]<typename Element>(const Element*) {
    launch(tile_means_kernel<Element>,
           {.grid = dim3(call.num_tiles, call.num_heads), .block = dim3(kThreads)}, stream, call,
           scale, means);
  });
}

void reduce_cosines(const TileQueries& call, const Window* windows, int32_t num_windows,
                    int64_t num_rows, double* inverse_norms, double* sums,
                    unsigned long long* counts, cudaStream_t stream) {
  with_typed_data(call.tensor.data, call.tensor.dtype, [&]<typename Element>(const Element*) {
    launch(cosines_kernel<Element>,
           {.grid = dim3(call.num_tiles, call.num_heads), .block = dim3(kThreads)}, stream, call,
           windows, num_windows, num_rows, inverse_norms, sums, counts);
  });
}

}  // namespace sparsescope::cuda
