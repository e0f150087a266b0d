#include "arch/launch.h"
#include "core/row_groups.h"
#include "kernels/cuda/reduce_axes.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kBins = 64;              // at a time
constexpr int kPitch = kRowLanes + 1;  // floats of a bin: the lanes of a bin spread over the banks

// grid: row blocks, heads. A thread sums the rows of one entry in one bin.
__global__ void __launch_bounds__(kThreads)
    entries_kernel(const __grid_constant__ AxisChunk call, double* sums) {
  __shared__ float mass[kBins * kPitch];
  const int thread = static_cast<int>(threadIdx.x);
  const auto head = static_cast<int64_t>(blockIdx.y);
  const int block = call.chunk.first_row_block + static_cast<int>(blockIdx.x);
  const int first = call.axis.first[block], entries = call.axis.first[block + 1] - first;
  const float* bins =
      call.chunk.bins + ((head * call.chunk.num_row_blocks + blockIdx.x) * call.chunk.num_bins +
                         call.axis.first_bin) *
                            kRowLanes;
  double* out = sums + (head * call.num_entries + first - call.first_entry) * call.axis.extent;
  for (int first_bin = 0; first_bin < call.axis.extent; first_bin += kBins) {
    const int here = min(kBins, call.axis.extent - first_bin);
    __syncthreads();
    for (int i = thread; i < here * kRowLanes; i += kThreads) {
      mass[i / kRowLanes * kPitch + i % kRowLanes] = bins[first_bin * kRowLanes + i];
    }
    __syncthreads();
    for (int i = thread; i < entries * here; i += kThreads) {
      const int entry = i / here, bin = i % here;
      double sum = 0.0;
      for (uint64_t lanes = call.axis.lanes[first + entry]; lanes != 0; lanes &= lanes - 1) {
        sum += mass[bin * kPitch + __ffsll(static_cast<long long>(lanes)) - 1];
      }
      out[int64_t{entry} * call.axis.extent + first_bin + bin] = sum;
    }
  }
}

// grid: coordinates of rows, heads. A thread sums the entries of the coordinate in one bin.
__global__ void __launch_bounds__(kThreads)
    coordinates_kernel(const __grid_constant__ AxisChunk call, const double* sums, double* pairs,
                       int64_t stride) {
  const AxisTable& axis = call.axis;
  const int coordinate = static_cast<int>(blockIdx.x);
  const double* of_head = sums + int64_t{blockIdx.y} * call.num_entries * axis.extent;
  double* out = pairs + blockIdx.y * stride + int64_t{coordinate} * axis.extent;
  const int end = axis.coordinate_first[coordinate + 1];
  int low = axis.coordinate_first[coordinate], high = end;
  while (low < high) {  // the first entry of the chunk
    const int middle = (low + high) / 2;
    if (axis.by_coordinate[middle] < call.first_entry) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (int bin = static_cast<int>(threadIdx.x); bin < axis.extent; bin += kThreads) {
    double sum = 0.0;
    for (int i = low; i < end; ++i) {
      const int entry = axis.by_coordinate[i] - call.first_entry;
      if (entry >= call.num_entries) break;
      sum += of_head[int64_t{entry} * axis.extent + bin];
    }
    out[bin] += sum;
  }
}

}  // namespace

void reduce_axis(const AxisChunk& call, double* scratch, double* pairs, int64_t stride,
                 cudaStream_t stream) {
  launch(entries_kernel,
         {.grid = dim3(call.num_blocks, call.chunk.num_heads), .block = dim3(kThreads)}, stream,
         call, scratch);
  launch(coordinates_kernel,
         {.grid = dim3(call.axis.extent, call.chunk.num_heads), .block = dim3(kThreads)}, stream,
         call, scratch, pairs, stride);
}

}  // namespace sparsescope::cuda
