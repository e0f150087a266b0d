#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_strands.h"

namespace sparsescope::cuda {
namespace {

constexpr int kScanThreads = 512;

// A thread block a group.
__global__ void __launch_bounds__(kScanThreads)
    scan_kernel(const int32_t* counts, int32_t size, int32_t extra, int64_t* offsets,
                int64_t* totals) {
  const int64_t group = blockIdx.x;
  int64_t carry = 0;
  for (int32_t first = 0; first < size; first += kScanThreads) {
    const int32_t i = first + static_cast<int32_t>(threadIdx.x);
    int32_t total;
    const int32_t before =
        block_exclusive_sum<kScanThreads>(i < size ? counts[group * size + i] + extra : 0, total);
    if (i < size) offsets[group * size + i] = carry + before;
    carry += total;
  }
  if (threadIdx.x == 0) totals[group] = carry;
}

constexpr int kTextThreads = 128;

__global__ void __launch_bounds__(kTextThreads)
    text_strands_kernel(const __grid_constant__ TextStrands call, int32_t of_plane) {
  const int thread = static_cast<int>(threadIdx.x);
  const auto plane = static_cast<int32_t>(blockIdx.x);
  const SelectLayout& layout = call.layout;
  if (plane == 0) {
    const int32_t* tokens = layout.order + layout.video_tokens;
    for (int32_t i = thread; i < layout.text_tokens && call.rows != nullptr; i += kTextThreads) {
      call.rows[call.first_row + i] = tokens[i];
    }
    for (int32_t i = thread; i < layout.num_ranges; i += kTextThreads) {
      call.range_ids[i] = i;
    }
  }
  const int32_t head = call.planes.heads[plane];
  const int64_t tokens = layout.video_tokens + layout.text_tokens;
  const int64_t first_strand =
      int64_t{plane} * call.table.of_plane + call.table.of_plane - of_plane;
  for (int32_t i = thread; i < of_plane; i += kTextThreads) {
    const int64_t item = call.first_item + int64_t{plane} * of_plane + i;
    const int32_t rows = min(layout.text_tokens - i * kRowLanes, kRowLanes);
    call.items[item] = {static_cast<int32_t>(call.first_row) + i * kRowLanes, rows, 0,
                        layout.num_ranges};
    call.table.strands[first_strand + i] = {head / call.heads, head % call.heads,
                                            static_cast<int32_t>(item), 1, false};
    call.table.pairs[first_strand + i] = rows * tokens;
  }
}

// Larger keys first; the index keeps the order among equals.
constexpr int kIndexBits = 16;
static_assert(kMaxHeadStrands <= 1 << kIndexBits);

__global__ void sort_strands_kernel(const StrandTable table, int32_t padded, SparseStrand* sorted,
                                    int64_t* pairs) {
  auto* keys = reinterpret_cast<uint64_t*>(dynamic_shared());
  __shared__ unsigned long long total;
  const auto thread = static_cast<int32_t>(threadIdx.x), threads = static_cast<int32_t>(blockDim.x);
  const int64_t first = int64_t{blockIdx.x} * table.of_plane;
  if (thread == 0) total = 0;
  __syncthreads();
  int64_t sum = 0;
  for (int32_t i = thread; i < padded; i += threads) {
    const int64_t cost = i < table.of_plane ? table.pairs[first + i] : 0;
    sum += cost;
    keys[i] = i < table.of_plane ? static_cast<uint64_t>(cost) << kIndexBits |
                                       static_cast<uint32_t>((1 << kIndexBits) - 1 - i)
                                 : 0;
  }
  atomicAdd(&total, static_cast<unsigned long long>(sum));
  // Bitonic: runs of size entries turn from either order into one.
  for (int32_t size = 2; size <= padded; size *= 2) {
    for (int32_t distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int32_t pair = thread; pair < padded / 2; pair += threads) {
        const int32_t low = pair / distance * 2 * distance + pair % distance;
        const int32_t high = low + distance;
        const bool descending = (low & size) == 0;
        const uint64_t a = keys[low], b = keys[high];
        if ((a < b) == descending) {
          keys[low] = b;
          keys[high] = a;
        }
      }
    }
  }
  __syncthreads();
  for (int32_t i = thread; i < table.of_plane; i += threads) {
    const auto index =
        static_cast<int32_t>((1 << kIndexBits) - 1 - (keys[i] & ((1 << kIndexBits) - 1)));
    sorted[first + i] = table.strands[first + index];
  }
  if (thread == 0) pairs[blockIdx.x] = static_cast<int64_t>(total);
}

}  // namespace

void scan_counts(const int32_t* counts, int32_t groups, int32_t size, int32_t extra,
                 int64_t* offsets, int64_t* totals) {
  launch(scan_kernel, {.grid = dim3(static_cast<unsigned>(groups)), .block = dim3(kScanThreads)},
         nullptr, counts, size, extra, offsets, totals);
}

void add_text_strands(const TextStrands& call) {
  const int32_t of_plane = text_strands(call.layout.text_tokens);
  launch(text_strands_kernel,
         {.grid = dim3(static_cast<unsigned>(call.planes.num_planes)), .block = dim3(kTextThreads)},
         nullptr, call, of_plane);
}

void sort_strands(const StrandTable& table, int32_t num_planes, SparseStrand* sorted,
                  int64_t* pairs) {
  constexpr int32_t kLeast = 64, kMostThreads = 1024;
  int32_t padded = kLeast;
  while (padded < table.of_plane) padded *= 2;
  launch(
      sort_strands_kernel,
      {.grid = dim3(static_cast<unsigned>(num_planes)),
       .block = dim3(static_cast<unsigned>(padded / 2 < kMostThreads ? padded / 2 : kMostThreads)),
       .shared_bytes = static_cast<size_t>(padded) * sizeof(uint64_t)},
      nullptr, table, padded, sorted, pairs);
}

}  // namespace sparsescope::cuda
