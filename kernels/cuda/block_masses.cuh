// A thread block of four warps takes 64 rows through all keys, 64 at a time, and owns their masses:
// what a key block adds to them is read, summed and written in order, without atomics.
//
// With log sums known a probability is p = exp2(score - lse): no maximum, no values, no output.
// Sums by column are products with 0/1 matrices. p enters as two terms of fp16, hi and lo, scaled
// so that p = 1 becomes 2^15: together they are exact to 22 bits, and to 2^-40 where p < 2^-18.
#pragma once

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/block_masses.h"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/shared_tile.cuh"

namespace sparsescope::cuda {

struct BlockMassConfig {
  static constexpr int kRows = 64;
  static constexpr int kWarps = kRows / kWarpRows;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kBlocks = 4;  // of a multiprocessor
};

// A warp's probabilities of a key block as left factors of products over 16 keys at a time.
struct SplitProbabilities {
  static constexpr int kSteps = kKeys / 16;
  uint32_t high[kSteps][4], low[kSteps][4];

  __device__ static void split(float first, float second, uint32_t& high, uint32_t& low) {
    high = pack_pair<__half>(first, second);
    __half2 rounded;
    std::memcpy(&rounded, &high, sizeof rounded);
    low = pack_pair<__half>(first - __low2float(rounded), second - __high2float(rounded));
  }
  __device__ void set(const float (&p)[kOctets][4]) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float(&octet)[4] = p[2 * step + j / 2];
        split(octet[2 * (j % 2)], octet[2 * (j % 2) + 1], high[step][j], low[step][j]);
      }
    }
  }
  // sums [16, 8] of one octet of columns, in 2^-16
  __device__ void add_up(uint32_t word, float (&sums)[4]) const {
    float of_low[4] = {};
#pragma unroll
    for (int j = 0; j < 4; ++j) sums[j] = 0.0f;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const uint32_t b0 = word << (2 * step) & 0x40004000u;
      const uint32_t b1 = word << (2 * step + 1) & 0x40004000u;
      multiply_16x8x16<__half>(sums, high[step], b0, b1);
      multiply_16x8x16<__half>(of_low, low[step], b0, b1);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) sums[j] += of_low[j];
  }
};

// What a thread has of the masses of a group's columns: of each octet two columns of two rows.
struct GroupMasses {
  int2 column[2];
  float mass[2][4];

  __device__ void find(const int32_t* columns, int lane) {
#pragma unroll
    for (int octet = 0; octet < 2; ++octet) {
      column[octet] = *reinterpret_cast<const int2*>(columns + 8 * octet + 2 * (lane % 4));
    }
  }
  // masses: of the thread's first row; the other one is eight rows on.
  template <typename Act>
  __device__ void for_each(float* masses, int64_t stride, const Act& act) {
#pragma unroll
    for (int octet = 0; octet < 2; ++octet) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int32_t block = j % 2 == 0 ? column[octet].x : column[octet].y;
        if (block >= 0) act(masses[block * stride + 8 * (j / 2)], octet, j);
      }
    }
  }
  __device__ void load(float* masses, int64_t stride) {
    for_each(masses, stride, [&](float& at, int octet, int j) { mass[octet][j] = at; });
  }
  __device__ void add(const SplitProbabilities& p, ColumnBits bits, float* masses, int64_t stride) {
    constexpr float kUnit = 1.0f / (1 << 16);
    float sums[2][4];
    p.add_up(static_cast<uint32_t>(bits), sums[0]);
    p.add_up(static_cast<uint32_t>(bits >> 32), sums[1]);
    for_each(masses, stride, [&](float& at, int octet, int j) {
      at = fmaf(sums[octet][j], kUnit, mass[octet][j]);
    });
  }
};

template <typename Elem, int kHeadDim>
struct BlockMassShared {
  Elem keys[2][kKeys * kHeadDim];  // the second one holds the queries at first
};

// What is added to a scaled score so that exp2 gives the row's probability times 2^15.
template <typename Elem>
__device__ float exponent_shift(const BlockMasses<Elem>& call, int32_t head, int row) {
  constexpr float kLog2e = 1.442695040888963407f, kScaleBits = 15.0f;
  if (row >= call.num_rows) return -INFINITY;
  const float lse = call.lse[head * call.tokens + call.row_token[call.first_row + row]];
  return lse == -INFINITY ? -INFINITY : kScaleBits - lse * kLog2e;
}

// grid: blocks of 64 rows, heads
template <typename Elem, int kHeadDim>
__global__ void __launch_bounds__(BlockMassConfig::kThreads, BlockMassConfig::kBlocks)
    block_masses_kernel(const __grid_constant__ BlockMasses<Elem> call) {
  using Config = BlockMassConfig;
  auto& shared = *reinterpret_cast<BlockMassShared<Elem, kHeadDim>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int32_t head = call.first_head + static_cast<int32_t>(blockIdx.y);
  const int first_row = static_cast<int>(blockIdx.x) * Config::kRows;
  const Elem* k = call.k.head(head);
  const Elem* q = call.q.head(head) + (call.first_row + first_row) * call.q.stride_row;

  const auto copy_keys = [&](int32_t key_block) {
    copy_tile_async<kHeadDim, kKeys, Config::kThreads>(shared.keys[key_block % 2], thread,
                                                       k + int64_t{key_block} * kKeys * kHeadDim);
    commit_copies();
  };
  copy_keys(0);
  copy_rows_async<kHeadDim, Config::kRows, Config::kThreads>(
      shared.keys[1], thread, [&](int row, int) {
        return first_row + row < call.num_rows ? q + row * call.q.stride_row : nullptr;
      });
  commit_copies();

  const int row = first_row + kWarpRows * warp + lane / 4;
  const float shift[2] = {exponent_shift(call, head, row), exponent_shift(call, head, row + 8)};
  const int64_t stride = call.row_stride;
  float* masses = call.masses + int64_t{blockIdx.y} * call.num_blocks * stride + row;
  wait_for_copies<0>();
  __syncthreads();
  WarpRows<Elem, kHeadDim> rows;
  rows.load_queries(shared.keys[1], kWarpRows * warp, lane);

  int32_t group = 0;
  GroupMasses of_group;
  of_group.find(call.columns, lane);
  for (int32_t j = 0; j < call.num_key_blocks; ++j) {
    wait_for_copies<0>();
    __syncthreads();
    if (j + 1 < call.num_key_blocks) copy_keys(j + 1);
    // The first group's masses, and what the next key block begins with, arrive meanwhile.
    of_group.load(masses, stride);
    const int32_t end = call.first_group[j + 1];
    ColumnBits bits = call.bits[group * 32 + lane];

    float p[kOctets][4];
    rows.scores(shared.keys[j % 2], call.valid[j], lane, p);
#pragma unroll
    for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        p[octet][i] = exp2_fast(fmaf(p[octet][i], call.scale_log2, shift[i / 2]));
      }
    }
    SplitProbabilities split;
    split.set(p);
    of_group.add(split, bits, masses, stride);
    while (++group < end) {
      of_group.find(call.columns + int64_t{group} * kColumns, lane);
      of_group.load(masses, stride);
      bits = call.bits[group * 32 + lane];
      of_group.add(split, bits, masses, stride);
    }
    if (j + 1 < call.num_key_blocks) {
      of_group.find(call.columns + int64_t{group} * kColumns, lane);
    }
  }
}

template <typename Elem, int kHeadDim>
void run_block_masses(const BlockMasses<Elem>& call, cudaStream_t stream) {
  using Config = BlockMassConfig;
  launch(block_masses_kernel<Elem, kHeadDim>,
         {.grid = dim3((call.num_rows + Config::kRows - 1) / Config::kRows, call.num_heads),
          .block = dim3(Config::kThreads),
          .shared_bytes = sizeof(BlockMassShared<Elem, kHeadDim>)},
         stream, call);
}

}  // namespace sparsescope::cuda
