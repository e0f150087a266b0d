#include "arch/launch.h"
#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_tile_lists.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;

__global__ void __launch_bounds__(kThreads)
    count_bits_kernel(const uint32_t* mask, int64_t num_rows, int32_t words, int32_t extra,
                      int32_t* counts) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= num_rows) return;
  int32_t count = 0;
  for (int32_t i = lane; i < words; i += 32) count += __popc(mask[row * words + i]);
  count = warp_sum(count);
  if (lane == 0) counts[row] = count + extra;
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
  const int64_t first = call.plane_first[plane] + call.list_first[index];

  int32_t count = 0;
  int64_t keys = 0;
  for (int32_t i = 0; i < words; ++i) {
    const uint32_t bits = mask[i];
    if ((bits >> lane & 1) != 0) {
      const int32_t id = 32 * i + lane;
      call.range_ids[first + count + __popc(bits & ((1u << lane) - 1))] = id;
      keys += layout.ranges[id].count;
    }
    count += __popc(bits);
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

void count_bits(const uint32_t* mask, int64_t num_rows, int32_t num_tiles, int32_t extra,
                int32_t* counts) {
  launch(count_bits_kernel, {.grid = dim3(blocks(num_rows)), .block = dim3(kThreads)}, nullptr,
         mask, num_rows, mask_words(num_tiles), extra, counts);
}

void fill_tile_lists(const TileLists& call) {
  launch(
      fill_lists_kernel,
      {.grid = dim3(blocks(call.layout.num_tiles), static_cast<unsigned>(call.planes.num_planes)),
       .block = dim3(kThreads)},
      nullptr, call, mask_words(call.layout.num_tiles));
}

}  // namespace sparsescope::cuda
