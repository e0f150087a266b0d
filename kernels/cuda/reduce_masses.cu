#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/block_sum.cuh"
#include "kernels/cuda/piece_masses.cuh"
#include "kernels/cuda/reduce_masses.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kColumns = kThreads;     // tiles at a time
constexpr int kPitch = kRowLanes + 1;  // floats of a tile: a column of lanes spreads over the banks

__global__ void first_pieces_kernel(const MassChunk chunk, const int32_t* cells, int32_t num_cells,
                                    int32_t* piece_first) {
  const auto i = static_cast<int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= num_cells) return;
  int32_t low = 0, high = chunk.num_pieces;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (chunk.piece_cell[middle] < cells[i]) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  piece_first[i] = low;
}

// mass [kColumns, kPitch]: the rows of a block on the tiles from first_tile on. A warp takes 32
// tiles, whose first pieces, mostly the only ones, it reads several at once.
__device__ void load_masses(const TileMasses& call, int head, int row_block, int first_tile,
                            float* mass) {
  constexpr int kAtOnce = 8;
  static_assert(kColumns == 32 * (kThreads / 32));
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  first_tile += 32 * warp;
  mass += 32 * warp * kPitch;
  const int columns = min(32, call.num_tiles - first_tile);
  const BlockPieces pieces(call.chunk, head, row_block, lane);
  const int tile = min(first_tile + lane, call.num_tiles - 1);
  const int begin_of_lane = call.piece_first[tile], end_of_lane = call.piece_first[tile + 1];
  for (int first = 0; first < columns; first += kAtOnce) {
    int begin[kAtOnce];
    LanePair sums[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      begin[i] = __shfl_sync(~0u, begin_of_lane, first + i);
      sums[i] = pieces.load(begin[i]);
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int end = __shfl_sync(~0u, end_of_lane, first + i);
      pieces.add(begin[i] + 1, end, sums[i]);
      const LanePair scaled = pieces.scaled(sums[i]);
      if (first + i >= columns) continue;
      mass[(first + i) * kPitch + lane] = scaled.low;
      mass[(first + i) * kPitch + lane + 32] = scaled.high;
    }
  }
}

// In fp64, four additions at a time.
__device__ double sum_rows_of(const float* column, const LaneSpan& span) {
  double sums[4] = {};
  int row = span.first;
  const int end = span.first + span.count;
  for (; row + 4 <= end; row += 4) {
#pragma unroll
    for (int i = 0; i < 4; ++i) sums[i] += column[row + i];
  }
  for (; row < end; ++row) sums[0] += column[row];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// grid: row groups, heads, runs of kColumns tiles. A thread sums the rows of one tile (a column),
// then compares one row with the means of half of the columns.
__global__ void __launch_bounds__(kThreads)
    tile_masses_kernel(const __grid_constant__ TileMasses call) {
  auto* mass = reinterpret_cast<float*>(dynamic_shared());  // [kColumns, kPitch]
  float* mean = mass + kColumns * kPitch;                   // [spans of a block, kColumns]
  __shared__ double of_warp[kThreads / 32];
  const int thread = static_cast<int>(threadIdx.x), head = static_cast<int>(blockIdx.y);
  const int lane = thread % kRowLanes, first_column = thread / kRowLanes * (kColumns / 2);
  const RowGroup group = call.groups[blockIdx.x];
  const int64_t N = call.num_tiles;
  double difference = 0.0;

  const int first_tile = static_cast<int>(blockIdx.z) * kColumns;
  const int columns = min(kColumns, call.num_tiles - first_tile);
  double sum = 0.0;
  for (int b = 0; b < group.num_blocks; ++b) {
    const int block = group.first_block + b;
    __syncthreads();
    load_masses(call, head, block - call.chunk.first_row_block, first_tile, mass);
    __syncthreads();
    if (thread >= columns) continue;
    const float* column = mass + thread * kPitch;
    for (int s = call.sampled_first[block]; s < call.sampled_first[block + 1]; ++s) {
      call.sampled[(int64_t{head} * call.num_samples + s - call.first_sample) * N + first_tile +
                   thread] = column[call.sampled_lane[s]];
    }
    const int first_span = call.spans.first[block];
    for (int i = first_span; i < call.spans.first[block + 1]; ++i) {
      const LaneSpan span = call.spans.spans[i];
      sum += sum_rows_of(column, span);
      if (span.ends_tile == 0) continue;
      const auto of_tile = static_cast<float>(sum * (1.0 / span.tile_rows));
      mean[(i - first_span) * kColumns + thread] = of_tile;
      call.map[(head * N + span.tile) * N + first_tile + thread] = of_tile;
      sum = 0.0;
    }
  }
  for (int b = 0; b < group.num_blocks; ++b) {
    const int block = group.first_block + b;
    __syncthreads();
    if (group.num_blocks > 1) {  // else the masses are still there
      load_masses(call, head, block - call.chunk.first_row_block, first_tile, mass);
      __syncthreads();
    }
    if (lane >= call.blocks[block].count) continue;
    const float* of_tile = mean + call.spans.slot[block * kRowLanes + lane] * kColumns;
    float sum_of_row = 0.0f;
    for (int c = first_column; c < min(first_column + kColumns / 2, columns); ++c) {
      sum_of_row += fabsf(mass[c * kPitch + lane] - of_tile[c]);
    }
    difference += sum_of_row;
  }
  difference = block_sum<kThreads>(difference, of_warp);
  if (thread > 0) return;
  const int64_t group_at = int64_t{head} * call.all_groups + call.first_group + blockIdx.x;
  call.difference[group_at * gridDim.z + blockIdx.z] = difference;
}

// grid: row blocks, heads. A warp.
__global__ void rows_kernel(const MassChunk chunk, const int32_t* piece_first, int32_t num_tiles,
                            int32_t all_blocks, double* sums) {
  const int lane = static_cast<int>(threadIdx.x);
  const int row_block = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const BlockPieces pieces(chunk, head, row_block, lane);
  LanePair text;
  pieces.add(piece_first[num_tiles], chunk.num_pieces, text);
  text = pieces.scaled(text);
  const float* entropy =
      chunk.entropy + (int64_t{head} * chunk.num_row_blocks + row_block) * kRowLanes + lane;
  const double of_entropy = warp_sum(double{entropy[0]} + double{entropy[32]});
  const double of_text = warp_sum(double{text.low} + double{text.high});
  if (lane > 0) return;
  double* out = sums + (int64_t{head} * all_blocks + chunk.first_row_block + row_block) * 2;
  out[0] = of_entropy;
  out[1] = of_text;
}

}  // namespace

void find_first_pieces(const MassChunk& chunk, const int32_t* cells, int32_t num_cells,
                       int32_t* piece_first, cudaStream_t stream) {
  launch(first_pieces_kernel,
         {.grid = dim3((num_cells + kThreads - 1) / kThreads), .block = dim3(kThreads)}, stream,
         chunk, cells, num_cells, piece_first);
}

int32_t tile_runs(int32_t num_tiles) { return (num_tiles + kColumns - 1) / kColumns; }

void reduce_tile_masses(const TileMasses& call, cudaStream_t stream) {
  launch(tile_masses_kernel,
         {.grid = dim3(call.num_groups, call.chunk.num_heads, tile_runs(call.num_tiles)),
          .block = dim3(kThreads),
          .shared_bytes = sizeof(float) * kColumns * (kPitch + call.spans.most)},
         stream, call);
}

void reduce_rows(const MassChunk& chunk, const int32_t* piece_first, int32_t num_tiles,
                 int32_t num_blocks, int32_t all_blocks, double* sums, cudaStream_t stream) {
  launch(rows_kernel, {.grid = dim3(num_blocks, chunk.num_heads), .block = dim3(32)}, stream, chunk,
         piece_first, num_tiles, all_blocks, sums);
}

}  // namespace sparsescope::cuda
