#include <bit>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/gate_ranks.cuh"
#include "kernels/cuda/gate_ranks.h"
#include "kernels/cuda/warp_sort.cuh"

namespace sparsescope::cuda {
namespace {

// Rows of a block of threads: eight fill a sector of 32 bytes, fewer have to do for long ones.
constexpr int rows_of(int per_lane) { return per_lane <= 32 ? 8 : 4; }

constexpr int kBlockBits = 11;
constexpr uint32_t kBlockMask = (1 << kBlockBits) - 1, kNoKey = ~0u;
static_assert(kMaxWarpBlocks == 1 << kBlockBits);

// Gates of a row in 2^21 steps, larger ones first: with the block below them they make keys of 32
// bits, which sort in a third of the time of whole ones.
class RankSteps {
 public:
  // hi, lo: of the blocks but the own one
  __device__ RankSteps(float hi, float lo) : hi_(hi) {
    const float width = hi - lo;
    scale_ = width > 0.0f && width < INFINITY ? kMost / width : 0.0f;
  }
  __device__ uint32_t key(float gate, int block) const {
    const float step = gate == INFINITY ? 0.0f : fminf(1.0f + (hi_ - gate) * scale_, kMost);
    return static_cast<uint32_t>(step) << kBlockBits | static_cast<uint32_t>(block);
  }

 private:
  static constexpr float kMost = (1 << (32 - kBlockBits)) - 2;
  float hi_, scale_;
};

// A warp's entries: lane l holds the places l kPerLane and on.
template <int kPerLane>
struct LaneEntries {
  static_assert(kPerLane >= 2 && kPerLane % 2 == 0);
  uint32_t key[kPerLane];
  float gate[kPerLane];

  __device__ int block(int i) const { return static_cast<int>(key[i] & kBlockMask); }

  // Once keys are in order: those of one step by gate. Neighbours change places, which leaves equal
  // ones as they are; most rows have none to change.
  __device__ void sort_steps(int lane) {
    while (true) {
      bool any = false;
#pragma unroll
      for (int i = 0; i < kPerLane; i += 2) any |= order_by_gate(i);
#pragma unroll
      for (int i = 1; i + 1 < kPerLane; i += 2) any |= order_by_gate(i);
      any |= order_between_lanes(lane);
      if (!__any_sync(~0u, any)) return;
    }
  }

 private:
  __device__ bool order_by_gate(int i) {
    if (!(gate[i] < gate[i + 1])) return false;
    const float of_gate = gate[i];
    const uint32_t of_key = key[i];
    gate[i] = gate[i + 1];
    key[i] = key[i + 1];
    gate[i + 1] = of_gate;
    key[i + 1] = of_key;
    return true;
  }
  __device__ bool order_between_lanes(int lane) {
    constexpr int kLast = kPerLane - 1;
    const float next_gate = __shfl_down_sync(~0u, gate[0], 1);
    const float past_gate = __shfl_up_sync(~0u, gate[kLast], 1);
    const uint32_t next_key = __shfl_down_sync(~0u, key[0], 1);
    const uint32_t past_key = __shfl_up_sync(~0u, key[kLast], 1);
    const bool to_next = lane < 31 && gate[kLast] < next_gate;
    const bool to_past = lane > 0 && past_gate < gate[0];
    if (to_next) {
      gate[kLast] = next_gate;
      key[kLast] = next_key;
    }
    if (to_past) {
      gate[0] = past_gate;
      key[0] = past_key;
    }
    return to_next || to_past;
  }
};

template <int kPerLane>
struct RankShared {
  static constexpr int kRows = rows_of(kPerLane);
  static constexpr int kSize = 32 * kPerLane;
  // By rank there is a gap behind every 32, so that lanes with runs of ranks meet in no bank; rows
  // begin four banks apart.
  static constexpr int kPitch = (kSize + kPerLane + 31) / 32 * 32 + 4;
  static __device__ int place_of(int rank) { return rank + rank / 32; }

  float masses[kRows][kPitch];      // by block, then the gates by rank
  float gates[kRows][kPitch];       // by block, then the masses by rank
  double needed[kRows][kGateTaus];  // by each tau of the other entries
  double kept_mass[kRows][kGateTaus];
  int kept[kRows][kGateTaus];
  int last_rank[kRows];  // of the last block
};

// What a warp does with its row.
template <int kPerLane>
class WarpRow {
 public:
  using Shared = RankShared<kPerLane>;

  __device__ WarpRow(Shared& shared, int row, int blocks, int lane)
      : shared_(shared), row_(row), blocks_(blocks), lane_(lane), first_(lane * kPerLane) {}

  __device__ void sort() {
    const RankSteps steps = find_steps();
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int block = 32 * i + lane_;
      entries_.key[i] = block < blocks_ ? steps.key(shared_.gates[row_][block], block) : kNoKey;
    }
    sort_in_warp(entries_.key, lane_);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      entries_.gate[i] = first_ + i < blocks_ ? shared_.gates[row_][entries_.block(i)] : -INFINITY;
    }
    entries_.sort_steps(lane_);
    __syncwarp();  // the gates are read
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int rank = first_ + i, block = entries_.block(i);
      if (rank >= blocks_) continue;
      shared_.gates[row_][Shared::place_of(rank)] = shared_.masses[row_][block];
      if (block == blocks_ - 1) shared_.last_rank[row_] = rank;
    }
    __syncwarp();  // the masses are read
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      shared_.masses[row_][Shared::place_of(first_ + i)] = entries_.gate[i];
    }
    __syncwarp();
  }

  // What each tau keeps. Loops along the ranks of a lane are short code, not the fastest.
  __device__ void find_kept(double own) {
    const RowRange range(own, blocks_ > 1, gate_at(1), gate_at(blocks_ - 1));
    const int end = min(kPerLane, blocks_ - first_);  // of the lane's ranks
    double weight = 0.0, mass = 0.0;
#pragma unroll 4
    for (int rank = first_; rank < first_ + end; ++rank) {
      weight += weight_at(rank, range);
      mass += mass_at(rank);
    }
    const double weights_to = warp_inclusive_sum(weight, lane_);
    mass_ = warp_inclusive_sum(mass, lane_) - mass;
    weight = weights_to - weight;  // of the ranks from 1 on that precede
    const double others = __shfl_sync(~0u, weights_to, 31);
    double* needed = shared_.needed[row_];
    if (lane_ < kGateTaus) needed[lane_] = range.needed(lane_, others);
    __syncwarp();
    // The lane before takes all that is reached before its last rank.
    double reached = weight;
#pragma unroll 4
    for (int rank = first_; rank < first_ + end - 1; ++rank) reached += weight_at(rank, range);
    reached = __shfl_up_sync(~0u, reached, 1);
    if (first_ <= kLeast) reached = -1.0;
    tau_ = 0;
    for (int tau = 0; tau < kGateTaus; ++tau) tau_ += needed[tau] <= reached ? 1 : 0;
#pragma unroll 1
    for (int rank = first_; rank < first_ + end; ++rank) {
      if (rank >= kLeast) {
        while (tau_ < kGateTaus && needed[tau_] <= weight) keep(rank);
      }
      weight += weight_at(rank, range);
      mass_ += mass_at(rank);
    }
    if (end > 0 && first_ + end == blocks_) {
      while (tau_ < kGateTaus) keep(blocks_);
    }
  }

 private:
  static constexpr int kLeast = 2;  // the own block and the best other one are always kept

  __device__ RankSteps find_steps() const {
    float hi = -INFINITY, lo = INFINITY;
    for (int block = lane_; block < blocks_; block += 32) {
      const float gate = shared_.gates[row_][block];
      lo = fminf(lo, gate);
      if (gate != INFINITY) hi = fmaxf(hi, gate);
    }
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) {
      hi = fmaxf(hi, __shfl_xor_sync(~0u, hi, offset));
      lo = fminf(lo, __shfl_xor_sync(~0u, lo, offset));
    }
    return {hi, lo};
  }
  __device__ float gate_at(int rank) const { return shared_.masses[row_][Shared::place_of(rank)]; }
  __device__ double mass_at(int rank) const { return shared_.gates[row_][Shared::place_of(rank)]; }
  // The own block, which comes first, weighs nothing here.
  __device__ double weight_at(int rank, const RowRange& range) const {
    return rank > 0 ? range.weight(gate_at(rank)) : 0.0;
  }
  __device__ void keep(int ranks) {
    shared_.kept[row_][tau_] = ranks;
    shared_.kept_mass[row_][tau_] = mass_;
    ++tau_;
  }

  Shared& shared_;
  const int row_, blocks_, lane_, first_;
  LaneEntries<kPerLane> entries_;
  double mass_ = 0.0;  // of the ranks that precede
  int tau_ = 0;        // the next one to be served
};

// grid: runs of rows, heads
template <int kPerLane>
__global__ void __launch_bounds__(32 * rows_of(kPerLane), 2)
    warp_ranks_kernel(const __grid_constant__ RankCall call) {
  using Shared = RankShared<kPerLane>;
  constexpr int kRows = Shared::kRows, kThreads = 32 * kRows;
  auto& shared = *reinterpret_cast<Shared*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const auto head = static_cast<int>(blockIdx.y);
  const int first_row = static_cast<int>(blockIdx.x) * kRows;
  const int num_rows = min(kRows, call.chunk.num_rows - first_row);
  const int blocks = call.of.num_blocks;

  const int64_t of_head = int64_t{head} * call.rows.num_blocks + call.of.first_block;
  const int row = thread % kRows;
  const float* gates =
      call.rows.gates + of_head * call.rows.num_rows + call.chunk.first_row + first_row + row;
  const float* masses = call.chunk.masses + of_head * call.chunk.row_stride + first_row + row;
  if (row < num_rows) {
#pragma unroll 4
    for (int block = thread / kRows; block < blocks; block += kThreads / kRows) {
      shared.gates[row][block] = gates[int64_t{block} * call.rows.num_rows];
      shared.masses[row][block] = masses[int64_t{block} * call.chunk.row_stride];
    }
  }
  __syncthreads();
  if (warp < num_rows) {
    WarpRow<kPerLane> of_warp(shared, warp, blocks, lane);
    of_warp.sort();
    of_warp.find_kept(own_gate(call, head, first_row + warp));
  }
  __syncthreads();

  const int64_t first = first_rank(call, head);
  for (int rank = thread; rank < blocks; rank += kThreads) {
    double mass = 0.0;
    for (int r = 0; r < num_rows; ++r) mass += shared.gates[r][Shared::place_of(rank)];
    atomicAdd(&call.sums.mass[first + rank], rank_units(mass));
  }
  if (thread < num_rows) atomicAdd(&call.sums.last_at[first + shared.last_rank[thread]], 1);
  if (thread < kGateTaus) {
    const int missing = call.of.size - last_block_size(call);
    double mass = 0.0;
    int64_t tokens = 0;
    for (int r = 0; r < num_rows; ++r) {
      const int kept = shared.kept[r][thread];
      mass += shared.kept_mass[r][thread];
      tokens += int64_t{kept} * call.of.size - (shared.last_rank[r] < kept ? missing : 0);
    }
    const int64_t at = first_tau(call, head) + thread;
    atomicAdd(&call.sums.tau_mass[at], rank_units(mass));
    atomicAdd(&call.sums.tau_tokens[at], static_cast<unsigned long long>(tokens));
  }
}

template <int kPerLane>
void run(const RankCall& call, cudaStream_t stream) {
  constexpr int kRows = rows_of(kPerLane);
  launch(warp_ranks_kernel<kPerLane>,
         {.grid = dim3((call.chunk.num_rows + kRows - 1) / kRows, call.chunk.num_heads),
          .block = dim3(32 * kRows),
          .shared_bytes = sizeof(RankShared<kPerLane>)},
         stream, call);
}

}  // namespace

void rank_by_warps(const RankCall& call, cudaStream_t stream) {
  switch (std::bit_ceil(static_cast<uint32_t>(call.of.num_blocks + 31) / 32)) {
    case 1:
    case 2:
      return run<2>(call, stream);
    case 4:
      return run<4>(call, stream);
    case 8:
      return run<8>(call, stream);
    case 16:
      return run<16>(call, stream);
    case 32:
      return run<32>(call, stream);
    default:
      return run<64>(call, stream);
  }
}

void rank_gates(const GateRows& rows, std::span<const GateBlock> partitions,
                const BlockMassChunk& chunk, const RankSums& sums, cudaStream_t stream) {
  for (const GateBlock& of : partitions) {
    const RankCall call{rows, chunk, sums, of};
    of.num_blocks <= kMaxWarpBlocks ? rank_by_warps(call, stream) : rank_long_rows(call, stream);
  }
}

}  // namespace sparsescope::cuda
