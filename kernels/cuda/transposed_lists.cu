#include "arch/launch.h"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/strand_lists.h"
#include "kernels/cuda/transposed_lists.h"

namespace sparsescope::cuda {
namespace {

// A head's strands are dealt into this many runs, each walked by a warp in order.
constexpr int kRuns = 64;
constexpr int kScanThreads = 512;
constexpr int kAtOnce = 16;  // counts whose loads are under way together
constexpr unsigned kAllLanes = 0xffffffffu;

struct Walk {
  SparseSelection selection;
  const int32_t* strands;        // [B * H, num_strands] of each head
  const int32_t* strand_counts;  // [B * H]
  int32_t* places;               // [B * H, kRuns, num_ranges]
};

// A run's entries so far of every range, and where they are listed if anywhere. By a warp.
struct RangeEntries {
  int32_t* places;  // [num_ranges]
  int32_t* items;   // null: they are counted
  int lane;

  // An item of each lane's range, ascending with the lanes; range -1: none.
  __device__ void add(int32_t range, int32_t item) const {
    const uint32_t same = __match_any_sync(kAllLanes, range);
    const int first = __ffs(static_cast<int>(same)) - 1;
    int32_t place = 0;
    if (range >= 0 && lane == first) {
      place = places[range];
      places[range] = place + __popc(same);
    }
    place = __shfl_sync(kAllLanes, place, first) + __popc(same & ((1u << lane) - 1));
    if (range >= 0 && items != nullptr) items[place] = item;
    __syncwarp();
  }
};

// Counts the run's entries of every range; where items is given, places hold where they begin.
// grid: kRuns, heads; a warp each
__global__ void __launch_bounds__(32)
    walk_lists_kernel(const __grid_constant__ Walk walk, const int64_t* first_of_head,
                      int32_t* items) {
  const SparseSelection& lists = walk.selection;
  const int64_t run = blockIdx.x, head = blockIdx.y;
  const int lane = static_cast<int>(threadIdx.x);
  const int32_t* strands = walk.strands + head * lists.num_strands;
  const RangeEntries entries{walk.places + (head * kRuns + run) * lists.num_ranges,
                             items == nullptr ? nullptr : items + first_of_head[head], lane};
  const int64_t count = walk.strand_counts[head];
  for (int64_t s = count * run / kRuns; s < count * (run + 1) / kRuns; ++s) {
    const SparseStrand strand = lists.strands[strands[s]];
    for (int32_t first = 0; first < strand.num_items; first += 32) {
      const int32_t of_lane = strand.first_item + first + lane;
      const int32_t num_items = min(32, strand.num_items - first);
      const SparseItem item = lane < num_items ? lists.items[of_lane] : SparseItem{};
      // Items of one range each (VMoBA) are taken together: one wait for 32 of them.
      if (__all_sync(kAllLanes, item.num_ranges <= 1)) {
        entries.add(item.num_ranges == 1 ? lists.range_ids[item.first_range] : -1, of_lane);
        continue;
      }
      for (int i = 0; i < num_items; ++i) {
        const int32_t first_range = __shfl_sync(kAllLanes, item.first_range, i);
        const int32_t num_ranges = __shfl_sync(kAllLanes, item.num_ranges, i);
        for (int32_t n = lane; n - lane < num_ranges; n += 32) {
          entries.add(n < num_ranges ? lists.range_ids[first_range + n] : -1,
                      strand.first_item + first + i);
        }
      }
    }
  }
}

// Turns counts into places: by range, then by run. A block a head.
__global__ void __launch_bounds__(kScanThreads)
    place_lists_kernel(int32_t num_ranges, int32_t* places, int32_t* first_of_range,
                       int32_t* totals) {
  const int64_t head = blockIdx.x;
  places += head * kRuns * num_ranges;
  first_of_range += head * (num_ranges + 1);
  int32_t before = 0;
  for (int32_t first = 0; first < num_ranges; first += kScanThreads) {
    const int32_t range = first + static_cast<int32_t>(threadIdx.x);
    const bool inside = range < num_ranges;
    int32_t of_range = 0;
#pragma unroll 16
    for (int run = 0; run < kRuns; ++run) {
      of_range += inside ? places[run * num_ranges + range] : 0;
    }
    int32_t of_all;
    int32_t place = before + block_exclusive_sum<kScanThreads>(of_range, of_all);
    if (inside) first_of_range[range] = place;
    for (int begin = 0; inside && begin < kRuns; begin += kAtOnce) {
      int32_t counts[kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) counts[i] = places[(begin + i) * num_ranges + range];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        places[(begin + i) * num_ranges + range] = place;
        place += counts[i];
      }
    }
    before += of_all;
  }
  if (threadIdx.x == 0) first_of_range[num_ranges] = totals[head] = before;
}

}  // namespace

TransposedLists::TransposedLists(const SparseSelection& selection, int32_t heads, int32_t num_heads,
                                 cudaStream_t stream)
    : num_ranges_(selection.num_ranges),
      counts_(2 * int64_t{num_heads}, stream),
      first_of_range_(num_heads * (selection.num_ranges + 1), stream) {
  DeviceBuffer<int32_t> strands(num_heads * selection.num_strands, stream);
  list_strands_by_head(selection, heads, num_heads, strands.data(), counts_.data(), stream);
  DeviceBuffer<int32_t> places(int64_t{num_heads} * kRuns * num_ranges_, stream);
  places.fill_zero();
  const Walk walk{selection, strands.data(), counts_.data(), places.data()};
  const LaunchShape shape{.grid = dim3(kRuns, num_heads), .block = dim3(32)};
  launch(walk_lists_kernel, shape, stream, walk, nullptr, nullptr);
  launch(place_lists_kernel, {.grid = dim3(num_heads), .block = dim3(kScanThreads)}, stream,
         static_cast<int32_t>(num_ranges_), places.data(), first_of_range_.data(),
         counts_.data() + num_heads);

  const std::vector<int32_t> counts = to_host(counts_, stream);
  num_strands_.assign(counts.begin(), counts.begin() + num_heads);
  std::vector<int64_t> first_of_head(num_heads);
  int64_t entries = 0;
  for (int32_t head = 0; head < num_heads; ++head) {
    first_of_head[head] = entries;
    entries += counts[num_heads + head];
  }
  first_of_head_ = to_device(first_of_head, stream);
  items_ = DeviceBuffer<int32_t>(entries, stream);
  if (entries == 0) return;
  launch(walk_lists_kernel, shape, stream, walk, first_of_head_.data(), items_.data());
}

RangeItems TransposedLists::view() const {
  return {items_.data(), first_of_head_.data(), first_of_range_.data(), num_ranges_};
}

}  // namespace sparsescope::cuda
