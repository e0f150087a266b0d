#include "arch/launch.h"
#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_tile_lists.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;

// Where a plane's list begins. By a warp.
__device__ inline int64_t first_of_list(const TileLists& call, int32_t plane, int32_t tile,
                                        int lane) {
  const int32_t tiles = call.layout.num_tiles, text = call.layout.num_ranges - tiles;
  int64_t before = 0;
  for (int32_t other = lane; other < plane; other += 32) {
    before += call.sizes != nullptr ? int64_t{tiles} * (call.sizes[other] + text)
                                    : call.plane_sizes[other];
  }
  const int64_t within = call.sizes != nullptr ? int64_t{tile} * (call.sizes[plane] + text)
                                               : call.list_first[int64_t{plane} * tiles + tile];
  return call.first_list + warp_sum(before) + within;
}

// A warp a list.
__global__ void __launch_bounds__(kThreads)
    fill_lists_kernel(const __grid_constant__ TileLists call, int32_t words) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto tile = static_cast<int32_t>(blockIdx.x * kWarps + threadIdx.x / 32);
  const auto plane = static_cast<int32_t>(blockIdx.y);
  const SelectLayout& layout = call.layout;
  if (tile >= layout.num_tiles) return;
  const int64_t index = int64_t{plane} * layout.num_tiles + tile;
  const uint32_t* mask = call.mask + index * words;
  const int64_t first = first_of_list(call, plane, tile, lane);

  int32_t count = 0;
  int64_t keys = 0;
  for (int32_t begin = 0; begin < words; begin += 32) {
    const uint32_t of_lane = begin + lane < words ? mask[begin + lane] : 0;
    const int32_t num_words = min(32, words - begin);
#pragma unroll 4
    for (int32_t i = 0; i < num_words; ++i) {
      const uint32_t bits = __shfl_sync(kAllLanes, of_lane, i);
      if ((bits >> lane & 1) != 0) {
        const int32_t id = 32 * (begin + i) + lane;
        call.range_ids[first + count + __popc(bits & ((1u << lane) - 1))] = id;
        keys += layout.ranges[id].count;
      }
      count += __popc(bits);
    }
  }
  keys = warp_sum(keys);
  if (layout.num_ranges > layout.num_tiles) {
    if (lane == 0) call.range_ids[first + count] = layout.num_tiles;
    ++count;
    keys += layout.text_tokens;
  }

  const int32_t row_first = call.row_first[tile], rows = call.row_first[tile + 1] - row_first;
  const int32_t first_item = plane * call.plane_items + call.item_first[tile];
  const int32_t num_items = call.item_first[tile + 1] - call.item_first[tile];
  for (int32_t i = lane; i < num_items; i += 32) {
    call.items[first_item + i] = {plane * call.plane_rows + row_first + i * kRowLanes,
                                  min(rows - i * kRowLanes, kRowLanes), static_cast<int32_t>(first),
                                  count};
  }
  if (lane == 0) {
    const int32_t head = call.planes.heads[plane];
    const int64_t strand = int64_t{plane} * call.table.of_plane + tile;
    call.table.strands[strand] = {head / call.heads, head % call.heads, first_item, num_items,
                                  false};
    call.table.pairs[strand] = rows * keys;
  }
}

unsigned blocks(int64_t warps) { return static_cast<unsigned>((warps + kWarps - 1) / kWarps); }

}  // namespace

void fill_tile_lists(const TileLists& call) {
  launch(
      fill_lists_kernel,
      {.grid = dim3(blocks(call.layout.num_tiles), static_cast<unsigned>(call.planes.num_planes)),
       .block = dim3(kThreads)},
      nullptr, call, mask_words(call.layout.num_tiles));
}

}  // namespace sparsescope::cuda
