#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_row_lists.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
// Of the 99 KiB that a thread block of any GPU has; 20 go to the blocks' counts at most.
constexpr int32_t kSharedBytes = 72 * 1024;
constexpr int32_t kMostRows = 1024, kLeastRows = 128;
constexpr int64_t kStrandsWanted = 4 * 132;

// Words of a block's rows in shared memory, a bit for each row of the run: an odd number, so that
// the blocks of a warp lie in different banks.
int32_t row_pitch(int32_t run_rows) { return (run_rows / 32) | 1; }

struct RunShared {
  uint32_t* chosen;     // [N, pitch]
  int32_t* row_count;   // [N] rows of each block, then where they begin
  int32_t* item_first;  // [N]

  __device__ RunShared(unsigned char* memory, int32_t pitch, int32_t num_tiles)
      : chosen(reinterpret_cast<uint32_t*>(memory)),
        row_count(reinterpret_cast<int32_t*>(chosen + num_tiles * pitch)),
        item_first(row_count + num_tiles) {}
};

// 32 rows of 32 bits, a row a lane, to 32 columns, a column a lane: bit r of lane c was bit c of
// lane r.
__device__ inline uint32_t transposed_bits(uint32_t bits, int lane) {
  uint32_t low = 0x0000ffffu;  // columns that stay in the lanes without the step
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const uint32_t other = __shfl_xor_sync(kAllLanes, bits, step);
    bits = (lane & step) == 0 ? (bits & low) | (other & low) << step
                              : (bits & ~low) | (other >> step & low);
    low ^= low << step / 2;
  }
  return bits;
}

__device__ inline int32_t items_for(int32_t rows) { return (rows + kRowLanes - 1) / kRowLanes; }

// A thread block a run.
class RunLists {
 public:
  __device__ RunLists(const RowLists& call, int32_t words, int32_t pitch)
      : call_(call),
        shared_(dynamic_shared(), pitch, call.layout.num_tiles),
        words_(words),
        pitch_(pitch),
        thread_(static_cast<int>(threadIdx.x)),
        run_(static_cast<int32_t>(blockIdx.x)),
        plane_(static_cast<int32_t>(blockIdx.y)),
        first_(run_ * call.run_rows),
        num_rows_(min(call.run_rows, call.layout.video_tokens - first_)) {}

  // Reads the run's bit rows and counts the rows of each block.
  __device__ void count() {
    const uint32_t* mask =
        call_.mask + (int64_t{plane_} * call_.layout.video_tokens + first_) * words_;
    const int32_t num_tiles = call_.layout.num_tiles, lane = thread_ % 32;
    for (int32_t i = thread_ / 32; i < groups() * words_; i += kWarps) {
      const int32_t group = i / words_, word = i % words_;
      const int32_t row = 32 * group + lane, block = 32 * word + lane;
      const uint32_t of_row = row < num_rows_ ? mask[int64_t{row} * words_ + word] : 0;
      const uint32_t of_block = transposed_bits(of_row, lane);
      if (block < num_tiles) shared_.chosen[block * pitch_ + group] = of_block;
    }
    __syncthreads();
    for (int32_t block = thread_; block < num_tiles; block += kThreads) {
      int32_t count = 0;
#pragma unroll 4
      for (int32_t group = 0; group < groups(); ++group) {
        count += __popc(shared_.chosen[block * pitch_ + group]);
      }
      shared_.row_count[block] = count;
    }
    __syncthreads();
  }

  // By the first warp.
  __device__ void write_totals(int32_t* counts) const {
    int32_t rows = 0, items = 0;
    for (int32_t block = thread_; block < call_.layout.num_tiles; block += 32) {
      rows += shared_.row_count[block];
      items += items_for(shared_.row_count[block]);
    }
    rows = warp_sum(rows);
    items = warp_sum(items);
    if (thread_ != 0) return;
    const bool text = call_.layout.text_tokens > 0;
    const int64_t at = int64_t{plane_} * call_.num_runs + run_;
    counts[at] = rows + (text ? num_rows_ : 0);
    counts[int64_t{call_.planes.num_planes} * call_.num_runs + at] =
        items + (text ? items_for(num_rows_) : 0);
  }

  __device__ void fill() {
    const int64_t planes = call_.planes.num_planes;
    const int64_t at = int64_t{plane_} * call_.num_runs + run_;
    const int lane = thread_ % 32;
    if (thread_ < 32) {
      const int64_t rows_before = sizes_before(0) + call_.run_first[at];
      const int64_t items_before =
          sizes_before(planes) + call_.run_first[planes * call_.num_runs + at];
      place_blocks(static_cast<int32_t>(rows_before), static_cast<int32_t>(items_before));
    }
    if (run_ == 0 && plane_ == 0) {
      for (int32_t i = thread_; i < call_.layout.num_ranges; i += kThreads) call_.range_ids[i] = i;
    }
    __syncthreads();
    for (int32_t block = thread_ / 32; block < call_.layout.num_tiles; block += kWarps) {
      int32_t row = shared_.row_count[block];
      const int32_t begin = row;
#pragma unroll 4
      for (int32_t group = 0; group < groups(); ++group) {
        const uint32_t chosen = shared_.chosen[block * pitch_ + group];
        if ((chosen >> lane & 1) != 0) {
          call_.rows[row + __popc(chosen & ((1u << lane) - 1))] =
              call_.layout.order[first_ + 32 * group + lane];
        }
        row += __popc(chosen);
      }
      write_items(shared_.item_first[block], begin, row - begin, block, lane, 32);
    }
  }

 private:
  __device__ int32_t groups() const { return (num_rows_ + 31) / 32; }

  // Of the planes before this one, of which the sizes begin at first. By a warp.
  __device__ int64_t sizes_before(int64_t first) const {
    int64_t before = 0;
    for (int32_t other = thread_; other < plane_; other += 32) {
      before += call_.plane_sizes[first + other];
    }
    return warp_sum(before);
  }

  // Where each block's rows and items begin, in place of their numbers; and what stands behind the
  // last block. By the first warp.
  __device__ void place_blocks(int32_t first_row, int32_t first_item) {
    const int lane = thread_;
    int32_t row = first_row, item = first_item;
    int64_t pairs = 0;
    for (int32_t first = 0; first < call_.layout.num_tiles; first += 32) {
      const int32_t block = first + lane;
      const bool present = block < call_.layout.num_tiles;
      const int32_t rows = present ? shared_.row_count[block] : 0, items = items_for(rows);
      if (present) pairs += int64_t{rows} * call_.layout.ranges[block].count;
      int32_t row_sum = rows, item_sum = items;
#pragma unroll
      for (int offset = 1; offset < 32; offset *= 2) {
        const int32_t rows_before = __shfl_up_sync(kAllLanes, row_sum, offset);
        const int32_t items_before = __shfl_up_sync(kAllLanes, item_sum, offset);
        if (lane < offset) continue;
        row_sum += rows_before;
        item_sum += items_before;
      }
      if (present) {
        shared_.row_count[block] = row + row_sum - rows;
        shared_.item_first[block] = item + item_sum - items;
      }
      row += __shfl_sync(kAllLanes, row_sum, 31);
      item += __shfl_sync(kAllLanes, item_sum, 31);
    }
    pairs = warp_sum(pairs);
    if (call_.layout.text_tokens > 0) {
      for (int32_t i = lane; i < num_rows_; i += 32) {
        call_.rows[row + i] = call_.layout.order[first_ + i];
      }
      write_items(item, row, num_rows_, call_.layout.num_tiles, lane, 32);
      item += items_for(num_rows_);
      pairs += int64_t{num_rows_} * call_.layout.text_tokens;
    }
    if (lane != 0) return;
    const int32_t head = call_.planes.heads[plane_];
    const int64_t strand = int64_t{plane_} * call_.table.of_plane + run_;
    call_.table.strands[strand] = {head / call_.heads, head % call_.heads, first_item,
                                   item - first_item, true};
    call_.table.pairs[strand] = pairs;
  }

  // Range i is block i.
  __device__ void write_items(int32_t first_item, int32_t first_row, int32_t rows, int32_t range,
                              int32_t first, int32_t step) const {
    for (int32_t i = first; i < items_for(rows); i += step) {
      call_.items[first_item + i] = {first_row + i * kRowLanes,
                                     min(rows - i * kRowLanes, kRowLanes), range, 1};
    }
  }

  const RowLists& call_;
  RunShared shared_;
  int32_t words_, pitch_;
  int thread_;
  int32_t run_, plane_, first_, num_rows_;
};

__global__ void __launch_bounds__(kThreads)
    count_runs_kernel(const __grid_constant__ RowLists call, int32_t words, int32_t pitch,
                      int32_t* counts) {
  RunLists run(call, words, pitch);
  run.count();
  if (threadIdx.x < 32) run.write_totals(counts);
}

__global__ void __launch_bounds__(kThreads)
    fill_runs_kernel(const __grid_constant__ RowLists call, int32_t words, int32_t pitch) {
  RunLists run(call, words, pitch);
  run.count();
  run.fill();
}

LaunchShape shape_of(const RowLists& call) {
  const int64_t words = int64_t{call.layout.num_tiles} * (row_pitch(call.run_rows) + 2);
  return {.grid = dim3(static_cast<unsigned>(call.num_runs),
                       static_cast<unsigned>(call.planes.num_planes)),
          .block = dim3(kThreads),
          .shared_bytes = static_cast<size_t>(words) * sizeof(uint32_t)};
}

}  // namespace

int32_t run_rows(int32_t num_planes, int32_t video_tokens, int32_t num_tiles) {
  const auto fits = [&](int32_t rows) {
    const int64_t strands = int64_t{num_planes} * ((video_tokens + rows - 1) / rows);
    return strands >= kStrandsWanted &&
           int64_t{num_tiles} * row_pitch(rows) * int64_t{sizeof(uint32_t)} <= kSharedBytes;
  };
  int32_t rows = kMostRows;
  while (rows > kLeastRows && !fits(rows)) rows /= 2;
  return rows;
}

void count_row_lists(const RowLists& call, int32_t* counts) {
  launch(count_runs_kernel, shape_of(call), nullptr, call, mask_words(call.layout.num_tiles),
         row_pitch(call.run_rows), counts);
}

void fill_row_lists(const RowLists& call) {
  launch(fill_runs_kernel, shape_of(call), nullptr, call, mask_words(call.layout.num_tiles),
         row_pitch(call.run_rows));
}

}  // namespace sparsescope::cuda
