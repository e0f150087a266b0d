#include <algorithm>

#include "arch/launch.h"
#include "core/row_groups.h"
#include "kernels/cuda/reduce_axes.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBins = 64;              // at a time
constexpr int kPitch = kRowLanes + 1;  // floats of a bin: the lanes of a bin spread over the banks

// What one axis has of a chunk.
struct AxisPart {
  AxisTable table;
  int first_entry, num_entries;
  double* sums;  // [num_heads, num_entries, extent]
};
__device__ AxisPart part_of(const AxesChunk& call, int axis) {
  const AxisTable& table = call.axes[axis];
  const int first = table.first[call.chunk.first_row_block];
  return {table, first, table.first[call.chunk.first_row_block + call.num_blocks] - first,
          call.scratch + call.scratch_first[axis]};
}

// grid: row blocks, heads, axes. A thread sums the rows of one entry in one bin.
__global__ void __launch_bounds__(kThreads) entries_kernel(const __grid_constant__ AxesChunk call) {
  __shared__ float mass[kBins * kPitch];
  const int thread = static_cast<int>(threadIdx.x);
  const auto head = static_cast<int64_t>(blockIdx.y);
  const AxisPart part = part_of(call, static_cast<int>(blockIdx.z));
  const AxisTable& axis = part.table;
  const int block = call.chunk.first_row_block + static_cast<int>(blockIdx.x);
  const int first = axis.first[block], entries = axis.first[block + 1] - first;
  const float* bins =
      call.chunk.bins +
      ((head * call.chunk.num_row_blocks + blockIdx.x) * call.chunk.num_bins + axis.first_bin) *
          kRowLanes;
  double* out = part.sums + (head * part.num_entries + first - part.first_entry) * axis.extent;
  for (int first_bin = 0; first_bin < axis.extent; first_bin += kBins) {
    const int here = min(kBins, axis.extent - first_bin);
    __syncthreads();
    for (int i = thread; i < here * kRowLanes; i += kThreads) {
      mass[i / kRowLanes * kPitch + i % kRowLanes] = bins[first_bin * kRowLanes + i];
    }
    __syncthreads();
    for (int i = thread; i < entries * here; i += kThreads) {
      const int entry = i / here, bin = i % here;
      double sum = 0.0;
      for (uint64_t lanes = axis.lanes[first + entry]; lanes != 0; lanes &= lanes - 1) {
        sum += mass[bin * kPitch + __ffsll(static_cast<long long>(lanes)) - 1];
      }
      out[int64_t{entry} * axis.extent + first_bin + bin] = sum;
    }
  }
}

// The first place in places [first, end), ascending, that holds at least entry.
__device__ int lower_bound(const int32_t* places, int first, int end, int entry) {
  while (first < end) {
    const int middle = (first + end) / 2;
    if (places[middle] < entry) {
      first = middle + 1;
    } else {
      end = middle;
    }
  }
  return first;
}

// grid: coordinates of rows, heads, axes. The threads of a column of the block sum the entries of
// the coordinate in one bin.
__global__ void __launch_bounds__(kThreads)
    coordinates_kernel(const __grid_constant__ AxesChunk call) {
  constexpr int kAcross = 32, kSlices = kThreads / kAcross, kAtOnce = 4;
  __shared__ double partial[kSlices][kAcross];
  const AxisPart part = part_of(call, static_cast<int>(blockIdx.z));
  const AxisTable& axis = part.table;
  const int coordinate = static_cast<int>(blockIdx.x);
  if (coordinate >= axis.extent) return;
  const int x = static_cast<int>(threadIdx.x) % kAcross,
            slice = static_cast<int>(threadIdx.x) / kAcross;
  const double* of_head = part.sums + int64_t{blockIdx.y} * part.num_entries * axis.extent;
  double* out =
      call.pairs[blockIdx.z] + blockIdx.y * call.stride + int64_t{coordinate} * axis.extent;
  const int32_t* places = axis.by_coordinate;
  const int all_end = axis.coordinate_first[coordinate + 1];
  const int first =
      lower_bound(places, axis.coordinate_first[coordinate], all_end, part.first_entry);
  const int end = lower_bound(places, first, all_end, part.first_entry + part.num_entries);
  for (int first_bin = 0; first_bin < axis.extent; first_bin += kAcross) {
    const int bin = first_bin + x;
    double sums[kAtOnce] = {};
    if (bin < axis.extent) {
      for (int from = first + slice; from < end; from += kAtOnce * kSlices) {
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
          const int at = from + i * kSlices;
          if (at < end) {
            sums[i] += of_head[int64_t{places[at] - part.first_entry} * axis.extent + bin];
          }
        }
      }
    }
    partial[slice][x] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    __syncthreads();
    if (slice == 0 && bin < axis.extent) {
      double sum = 0.0;
#pragma unroll
      for (int i = 0; i < kSlices; ++i) sum += partial[i][x];
      out[bin] += sum;
    }
    __syncthreads();
  }
}

}  // namespace

void reduce_axes(const AxesChunk& call, cudaStream_t stream) {
  int most = 0;
  for (const AxisTable& axis : call.axes) most = std::max(most, axis.extent);
  launch(entries_kernel,
         {.grid = dim3(call.num_blocks, call.chunk.num_heads, kAxes), .block = dim3(kThreads)},
         stream, call);
  launch(coordinates_kernel,
         {.grid = dim3(most, call.chunk.num_heads, kAxes), .block = dim3(kThreads)}, stream, call);
}

}  // namespace sparsescope::cuda
