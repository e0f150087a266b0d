#include "arch/launch.h"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/reduce_queries.h"
#include "kernels/cuda/typed_data.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;
constexpr double kNormFloor = 1e-12;

template <typename Element>
__device__ const Element* token_row(const TileQueries& call, int32_t head, int32_t token) {
  return static_cast<const Element*>(call.tensor.data) + head * call.tensor.stride_head +
         token * call.tensor.stride_token;
}
template <typename Element>
__device__ const Element* row_of(const TileQueries& call, int32_t head, int32_t position) {
  return token_row<Element>(call, head, call.order[position]);
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

constexpr int kGroupLanes = 8;  // that have a row together
constexpr int kGroups = kThreads / kGroupLanes;
constexpr int kPerLane = kMaxReducedHeadDim / kGroupLanes;

// A lane's part of a row: every eighth chunk of 16 bytes.
template <typename Element>
struct GroupRow {
  static constexpr int kChunk = 16 / static_cast<int>(sizeof(Element));  // elements
  float values[kPerLane];

  // in_chunks: the row is made of whole, aligned chunks.
  __device__ void load(const Element* row, int D, bool in_chunks, int lane) {
#pragma unroll
    for (int i = 0; i < kPerLane / kChunk; ++i) {
      const int first = (lane + kGroupLanes * i) * kChunk;
      if (in_chunks) {
        uint4 chunk{};
        if (first < D) chunk = *reinterpret_cast<const uint4*>(row + first);
        Element elements[kChunk];
        memcpy(elements, &chunk, sizeof(chunk));
#pragma unroll
        for (int j = 0; j < kChunk; ++j) values[i * kChunk + j] = to_float(elements[j]);
      } else {
#pragma unroll
        for (int j = 0; j < kChunk; ++j) {
          values[i * kChunk + j] = first + j < D ? to_float(row[first + j]) : 0.0f;
        }
      }
    }
  }
  // Equal in all lanes of the group.
  __device__ float dot(const GroupRow& other) const {
    float sums[2] = {};
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) sums[i % 2] = fmaf(values[i], other.values[i], sums[i % 2]);
    float sum = sums[0] + sums[1];
#pragma unroll
    for (int offset = kGroupLanes / 2; offset > 0; offset /= 2) {
      sum += __shfl_xor_sync(~0u, sum, offset);
    }
    return sum;
  }
};

template <typename Element>
__device__ bool in_chunks(const AttentionTensor& x) {
  constexpr int kChunk = GroupRow<Element>::kChunk;
  return (x.head_dim % kChunk | x.stride_token % kChunk | x.stride_head % kChunk) == 0 &&
         reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
}

// Of a row in its tile.
struct TilePlace {
  int t, h, w;
};
__device__ TilePlace place_of(const TileRun& run, int row) {
  return {row / (run.h * run.w), row / run.w % run.h, row % run.w};
}

// The row in its tile that a window is compared with: floor(extent / 2) along each clipped axis.
__device__ int centre_of(const TileRun& run, const Window& window, const TilePlace& place) {
  const int box_t = run.count / (run.h * run.w);
  const auto centre = [](int at, int size, int box) {
    if (size == 1) return at;
    const int corner = size >= box ? 0 : at - at % size;
    return corner + min(size, box - corner) / 2;
  };
  const int t = centre(place.t, window.t, box_t);
  const int h = centre(place.h, window.h, run.h);
  const int w = centre(place.w, window.w, run.w);
  return (t * run.h + h) * run.w + w;
}

__device__ int bin_of(double cosine) {
  const double bin = floor((cosine + 1.0) * (kCosineBins / 2.0));
  return bin > 0.0 ? static_cast<int>(fmin(bin, kCosineBins - 1.0)) : 0;
}

// grid: tiles, heads. A group has a row at a time; the norms of all rows come first. Groups without
// a row left follow the last one, for the shuffles.
template <typename Element>
__global__ void __launch_bounds__(kThreads)
    cosines_kernel(const __grid_constant__ TileQueries call, const Window* windows,
                   int32_t num_windows, int64_t num_rows, double* inverse_norms, double* sums,
                   unsigned long long* counts) {
  __shared__ double of_window[kMaxWindows][kGroups];
  __shared__ int histogram[kCosineBins];
  const int thread = static_cast<int>(threadIdx.x), group = thread / kGroupLanes,
            lane = thread % kGroupLanes;
  const TileRun run = call.runs[blockIdx.x];
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const auto D = static_cast<int>(call.tensor.head_dim);
  const bool chunks = in_chunks<Element>(call.tensor);
  double* inverse_norm = inverse_norms + blockIdx.y * num_rows + run.first;

  for (int i = thread; i < num_windows * kGroups; i += kThreads) {
    of_window[i / kGroups][i % kGroups] = 0.0;
  }
  if (thread < kCosineBins) histogram[thread] = 0;
  GroupRow<Element> own, centre;
  for (int first = 0; first < run.count; first += kGroups) {
    const int row = min(first + group, run.count - 1);
    own.load(row_of<Element>(call, head, run.first + row), D, chunks, lane);
    const float square = own.dot(own);
    if (lane == 0) inverse_norm[row] = 1.0 / fmax(sqrt(double{square}), kNormFloor);
  }
  __syncthreads();
  for (int first = 0; first < run.count; first += kGroups) {
    const int row = min(first + group, run.count - 1);
    own.load(row_of<Element>(call, head, run.first + row), D, chunks, lane);
    const TilePlace place = place_of(run, row);
    const double scale = inverse_norm[row];
    for (int first_window = 0; first_window < num_windows; first_window += kGroupLanes) {
      // Each lane finds the centre for one of the windows.
      const int here = min(kGroupLanes, num_windows - first_window);
      const int found = centre_of(run, windows[first_window + min(lane, here - 1)], place);
      const int token_found = call.order[run.first + found];
      for (int i = 0; i < here; ++i) {
        const int other = __shfl_sync(~0u, found, i, kGroupLanes);
        const int token = __shfl_sync(~0u, token_found, i, kGroupLanes);
        centre.load(token_row<Element>(call, head, token), D, chunks, lane);
        const float product = own.dot(centre);
        if (lane > 0 || other == row || first + group >= run.count) continue;
        const double cosine = product * scale * inverse_norm[other];
        of_window[first_window + i][group] += cosine;
        if (first_window + i == num_windows - 1) atomicAdd(&histogram[bin_of(cosine)], 1);
      }
    }
  }
  __syncthreads();
  for (int i = thread; i < num_windows; i += kThreads) {
    double sum = 0.0;
    for (int g = 0; g < kGroups; ++g) sum += of_window[i][g];
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
