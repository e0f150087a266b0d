// Exact masses of the 16 rows of a warp, from the probabilities that the forward step holds in
// registers: sums by piece of a key cell, by key coordinate, and the entropy.
//
// Of every brick (key_bricks.h) a thread holds two neighbours along w: with c = lane % 4 they lie
// at h + c / 2 and w + 2 (c % 2). Sums over the threads of a row are butterflies that halve what a
// thread holds at each step, so that each ends with a sum of its own.
#pragma once

#include "kernels/cuda/dense_forward.h"
#include "kernels/cuda/forward_tile.cuh"
#include "kernels/cuda/row_softmax.cuh"

namespace sparsescope::cuda {

// What a warp writes to, of one head and row block.
struct RowMassOutput {
  const KeyBlockPlace* blocks;
  const KeyBrick* bricks;
  float* piece_sums;  // [num_pieces, 64]
  float* block_max;   // [num_key_blocks, 64]
  float* bins;        // [num_bins, 64]
  int num_bins;
};

// The half that the lane keeps of a pair whose halves are exchanged along the lane's bit, summed.
__device__ inline float exchange_sum(float low, float high, int lane, int bit) {
  const bool upper = (lane & bit) != 0;
  return (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, bit);
}

class RowMasses {
 public:
  // shared_bins: [num_bins + kSpareBins, 64] of the thread block; num_rows of the warp's 16 rows,
  // of which the first has number first_row in the block, are not idle.
  __device__ RowMasses(const RowMassOutput& output, float* shared_bins, int first_row, int num_rows,
                       int lane)
      : output_(output),
        bins_(shared_bins),
        lane_(lane),
        first_row_(first_row),
        num_rows_(num_rows) {
    written_ = (upper() == 0 ? output.piece_sums : output.block_max) + first_row + own_row();
#pragma unroll
    for (int r = 0; r < 2; ++r) {
#pragma unroll
      for (int brick = 0; brick < kBlockBricks; ++brick) bricks_[r][brick] = 0.0f;
    }
    for (int bin = lane / kWarpRows; bin < output.num_bins + kSpareBins; bin += 2) {
      bins_[offset(bin, lane % kWarpRows)] = 0.0f;
    }
    __syncwarp();
  }

  // Before the step of a key block: what is known of it is on its way while scores are made.
  __device__ void begin(int key_block) {
    key_block_ = key_block;
    place_ = output_.blocks[key_block];
  }

  // Every probability p = exp2(exponent) of row r.
  __device__ void observe(int r, float p, float exponent) {
    block_entropy_[r] = fmaf(p, exponent, block_entropy_[r]);
  }

  // before is the softmax as it was, factor what earlier sums are to be multiplied with.
  __device__ void after_softmax(const float (&p)[kOctets][4], const RowSoftmax (&before)[2],
                                const RowSoftmax (&softmax)[2], const float (&factor)[2]) {
    if (__any_sync(0xffffffffu, factor[0] != 1.0f || factor[1] != 1.0f)) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        if (factor[r] != 1.0f) {
          // No sums yet where the factor is 0: the maximum may have been -infinity.
          entropy_[r] = factor[r] == 0.0f ? 0.0f
                                          : factor[r] * fmaf(before[r].max - softmax[r].max,
                                                             before[r].sum, entropy_[r]);
        }
#pragma unroll
        for (int brick = 0; brick < kBlockBricks; ++brick) bricks_[r][brick] *= factor[r];
      }
      const float of_row = by_row(factor);
      for (int bin = lane_ / kWarpRows; bin < output_.num_bins; bin += 2) {
        bins_[offset(bin, lane_ % kWarpRows)] *= of_row;
      }
      __syncwarp();
    }
    if (__any_sync(0xffffffffu, isnan(block_entropy_[0] + block_entropy_[1]))) sum_entropy(p);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      entropy_[r] += block_entropy_[r];
      block_entropy_[r] = 0.0f;
    }
  }

  __device__ void add_block(const float (&p)[kOctets][4], const RowSoftmax (&softmax)[2]) {
    if (place_.places != places_) {
      flush_places();
      places_ = place_.places;
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
#pragma unroll
      for (int brick = 0; brick < kBlockBricks; ++brick) {
        bricks_[r][brick] += p[brick][2 * r] + p[brick][2 * r + 1];
      }
    }
    const float max = odd() == 0 ? softmax[0].max : softmax[1].max;
    if (place_.w >= 0) {
      const float sum = add_piece(p);
      write(upper() == 0 ? place_.first_piece : key_block_, upper() == 0 ? sum : max);
    } else {
      add_bricks(p);
      if (upper() == 1) write(key_block_, max);
    }
    __syncwarp();
  }

  // After the last block: writes the bins and returns the entropy of row r; sums and inverse sums
  // are those of the whole row.
  __device__ void finish(const RowSoftmax (&softmax)[2], const float (&inverse_sum)[2],
                         float (&entropy)[2]) {
    constexpr float kLn2 = 0.693147180559945309f;
    flush_places();
    float factor[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float mean = quad_sum(entropy_[r]) * inverse_sum[r];
      // Rounding may leave a peaked row below zero.
      const bool live = lane_ / 4 + 8 * r < num_rows_;
      entropy[r] =
          live && softmax[r].sum > 0.0f ? fmaxf(0.0f, (log2f(softmax[r].sum) - mean) * kLn2) : 0.0f;
      factor[r] = live ? inverse_sum[r] : 0.0f;
    }
    const float of_row = by_row(factor);
    const int row = lane_ % kWarpRows;
    for (int bin = lane_ / kWarpRows; bin < output_.num_bins; bin += 2) {
      const float sum = bins_[offset(bin, row)];
      output_.bins[int64_t{bin} * kRowLanes + first_row_ + row] =
          of_row > 0.0f ? sum * of_row : 0.0f;
    }
  }

 private:
  // The block's entropy sums where some exponent is -infinity: 0 times that is not a number.
  __device__ void sum_entropy(const float (&p)[kOctets][4]) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      block_entropy_[r] = 0.0f;
#pragma unroll
      for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
        for (int j = 2 * r; j < 2 * r + 2; ++j) {
          if (p[octet][j] > 0.0f) {
            block_entropy_[r] = fmaf(p[octet][j], __log2f(p[octet][j]), block_entropy_[r]);
          }
        }
      }
    }
  }

  // Four neighbouring bins of eight rows lie in 32 banks.
  __device__ int offset(int bin, int row) const {
    return bin * kRowLanes + ((first_row_ + row) ^ ((bin & 3) << 3));
  }
  __device__ void add_to_bin(int bin, int row, float value) { bins_[offset(bin, row)] += value; }

  // The thread's value for row lane % 16, from values by the fragment's rows.
  __device__ float by_row(const float (&values)[2]) const {
    const int owner = lane_ % 8 * 4;
    const float low = __shfl_sync(0xffffffffu, values[0], owner);
    const float high = __shfl_sync(0xffffffffu, values[1], owner);
    return lane_ % kWarpRows < 8 ? low : high;
  }

  // Bits of the thread's number in its row.
  __device__ int odd() const { return lane_ & 1; }
  __device__ int upper() const { return lane_ >> 1 & 1; }
  // After a sum of both rows over the threads of a row a thread holds that of row odd().
  __device__ int own_row() const { return lane_ / 4 + 8 * odd(); }
  __device__ bool own_live() const { return own_row() < num_rows_; }
  __device__ float row_sum(const float (&sums)[2]) const {
    const float half = exchange_sum(sums[0], sums[1], lane_, 1);
    return half + __shfl_xor_sync(0xffffffffu, half, 2);
  }
  // The lower threads of a row write piece sums, the upper ones block maxima.
  __device__ void write(int line, float value) {
    written_[int64_t{line} * kRowLanes] = own_live() ? value : 0.0f;
  }
  // first, second: sums of the thread's two places along w.
  __device__ void add_w(int bin, int r, float first, float second) {
    const float sum = exchange_sum(first, second, lane_, 2);
    add_to_bin(bin + 2 * odd() + upper(), lane_ / 4 + 8 * r, sum);
  }

  // A block of one piece and one place along w. Returns its sum.
  __device__ float add_piece(const float (&p)[kOctets][4]) {
    float total[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float first = 0.0f, second = 0.0f;  // as the softmax adds them: no work of their own
#pragma unroll
      for (int brick = 0; brick < kBlockBricks; ++brick) {
        first += p[brick][2 * r];
        second += p[brick][2 * r + 1];
      }
      total[r] = first + second;
      add_w(place_.w, r, first, second);
    }
    return row_sum(total);
  }

  // Any other block, brick by brick: sums go out where the plan says that they end.
  __device__ void add_bricks(const float (&p)[kOctets][4]) {
    const KeyBrick* bricks = output_.bricks + int64_t{key_block_} * kBlockBricks;
    int piece = place_.first_piece;
    float of_piece[2] = {}, of_w[2][2] = {};
#pragma unroll
    for (int i = 0; i < kBlockBricks; ++i) {
      const KeyBrick brick = bricks[i];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        of_piece[r] += p[i][2 * r] + p[i][2 * r + 1];
        of_w[r][0] += p[i][2 * r];
        of_w[r][1] += p[i][2 * r + 1];
      }
      if ((brick.ends & kEndsPiece) != 0) {
        const float sum = row_sum(of_piece);
        if (upper() == 0) write(piece, sum);
        ++piece;
        of_piece[0] = of_piece[1] = 0.0f;
      }
      if ((brick.ends & kEndsW) != 0) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          add_w(brick.w, r, of_w[r][0], of_w[r][1]);
          of_w[r][0] = of_w[r][1] = 0.0f;
        }
        __syncwarp();
      }
    }
  }

  // Adds what was kept by brick to the bins along t and h.
  __device__ void flush_places() {
    if (places_ >= 0) {
      const KeyBrick* bricks = output_.bricks + int64_t{places_} * kBlockBricks;
#pragma unroll
      for (int i = 0; i < kBlockBricks; ++i) {
        const KeyBrick brick = bricks[i];
        if (brick.t >= 0) {
          const float by_h = exchange_sum(bricks_[0][i], bricks_[1][i], lane_, 1);
          const float by_t = by_h + __shfl_xor_sync(0xffffffffu, by_h, 2);
          add_to_bin(brick.h + upper(), own_row(), by_h);
          if (upper() == 0) add_to_bin(brick.t, own_row(), by_t);
          __syncwarp();
        }
        bricks_[0][i] = bricks_[1][i] = 0.0f;
      }
    }
  }

  const RowMassOutput output_;
  float* bins_;
  float* written_;  // the thread's lane of what it writes
  int lane_, first_row_, num_rows_;
  int key_block_ = 0;
  KeyBlockPlace place_;
  float entropy_[2] = {}, block_entropy_[2] = {};  // sums of p * exponent, of the thread's columns
  float bricks_[2][kBlockBricks];                  // sums of bricks with places_ in common
  int places_ = -1;                                // a key block
};

// In the place of RowMasses where there is nothing to keep.
struct NoMasses {
  __device__ void begin(int) {}
  __device__ void observe(int, float, float) {}
  __device__ void after_softmax(const float (&)[kOctets][4], const RowSoftmax (&)[2],
                                const RowSoftmax (&)[2], const float (&)[2]) {}
  __device__ void add_block(const float (&)[kOctets][4], const RowSoftmax (&)[2]) {}
};

}  // namespace sparsescope::cuda
