#include "arch/launch.h"
#include "kernels/cuda/select_means.h"
#include "kernels/cuda/select_source.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;

// A thread sums kWidth channels of a segment. Means of whole tiles are divided at once.
template <int kWidth, typename Source>
__global__ void __launch_bounds__(kThreads)
    segment_sums_kernel(const SourceRows<Source> x, const SelectPlanes planes, const int32_t* order,
                        const RowSegment* segments, int32_t num_segments, int32_t dim, bool divide,
                        float* out) {
  const int32_t chunks = dim / kWidth;
  const int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t segment = item / chunks;
  if (segment >= num_segments) return;
  const int32_t first = static_cast<int32_t>(item % chunks) * kWidth;
  const RowSegment rows = segments[segment];
  const Source* from = x.head(planes.heads[blockIdx.y]) + first;
  float sums[kWidth] = {};
  if (first < x.head_dim) {
#pragma unroll 8
    for (int32_t r = 0; r < rows.count; ++r) {
      float values[kWidth];
      load_widened(from + order[rows.first + r] * x.stride_token, values);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sums[i] += values[i];
    }
  }
  float* to = out + (int64_t{blockIdx.y} * num_segments + segment) * dim + first;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    to[i] = divide ? sums[i] / static_cast<float>(rows.count) : sums[i];
  }
}

__global__ void join_segments_kernel(const SelectLayout layout, const int32_t* first_segment,
                                     int32_t num_segments, int32_t dim, const float* sums,
                                     float* means) {
  const int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t tile = item / dim, d = item % dim;
  if (tile >= layout.num_tiles) return;
  const float* from = sums + int64_t{blockIdx.y} * num_segments * dim + d;
  double total = 0;
#pragma unroll 4
  for (int32_t s = first_segment[tile]; s < first_segment[tile + 1]; ++s) {
    total += static_cast<double>(from[int64_t{s} * dim]);
  }
  means[(int64_t{blockIdx.y} * layout.num_tiles + tile) * dim + d] =
      static_cast<float>(total / static_cast<double>(layout.ranges[tile].count));
}

dim3 grid_of(int64_t items, int32_t planes) {
  return dim3(static_cast<unsigned>((items + kThreads - 1) / kThreads),
              static_cast<unsigned>(planes));
}

}  // namespace

void tile_means(const TileMeans& call) {
  const int32_t dim = padded_dim(call.x.head_dim), planes = call.planes.num_planes;
  const bool whole = call.num_segments == call.layout.num_tiles;
  with_source_rows(call.x, [&]<int kWidth, typename Source>(const SourceRows<Source>& rows) {
    launch(segment_sums_kernel<kWidth, Source>,
           {.grid = grid_of(int64_t{call.num_segments} * (dim / kWidth), planes),
            .block = dim3(kThreads)},
           nullptr, rows, call.planes, call.layout.order, call.segments, call.num_segments, dim,
           whole, whole ? call.means : call.sums);
  });
  if (whole) return;
  launch(join_segments_kernel,
         {.grid = grid_of(int64_t{call.layout.num_tiles} * dim, planes), .block = dim3(kThreads)},
         nullptr, call.layout, call.first_segment, call.num_segments, dim, call.sums, call.means);
}

}  // namespace sparsescope::cuda
