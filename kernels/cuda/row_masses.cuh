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

// What a warp works with, of one head and row block.
struct RowMassOutput {
  const KeyBlockPlace* blocks;
  const KeyBrick* bricks;
  float* piece_sums;  // [num_pieces, 64]
  float* row_factor;  // [64]
  float* bins;        // [num_bins, 64]
  int num_bins;
};

// The half that the lane keeps of a pair whose halves are exchanged along the lane's bit, summed.
__device__ inline float exchange_sum(float low, float high, int lane, int bit) {
  const bool upper = (lane & bit) != 0;
  return (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, bit);
}

// What is written or added to shared bins is relative to a reference of the row's: its maximum when
// that was first finite. The running maximum is at most kMaxLead ahead: beyond, what there is of
// the row is scaled to a new reference. Few rows ever come to that.
class RowMasses {
 public:
  // shared_bins: [num_bins + kSpareBins, kBinPitch] of the thread block; num_rows of the warp's 16
  // rows, of which the first has number first_row in the block, are not idle.
  __device__ RowMasses(const RowMassOutput& output, float* shared_bins, int first_row, int num_rows,
                       int lane)
      : output_(output), bins_(shared_bins + first_row), lane_(lane) {
    own_sums_ = output.piece_sums + first_row + own_row();
    own_bins_ = &bin_of(2 * odd(), own_row());
    own_factor_ = own_row() < num_rows ? 1.0f : 0.0f;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
#pragma unroll
      for (int brick = 0; brick < kBlockBricks; ++brick) bricks_[r][brick] = 0.0f;
    }
    for (int bin = lane / kWarpRows; bin < output.num_bins + kSpareBins; bin += 2) {
      bin_of(bin, lane % kWarpRows) = 0.0f;
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
    const bool no_number = isnan(block_entropy_[0] + block_entropy_[1]);
    if (__any_sync(0xffffffffu, factor[0] != 1.0f || factor[1] != 1.0f || no_number)) {
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
      follow_maximum(own(softmax[0].max, softmax[1].max));
      if (no_number) sum_entropy(p);
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      entropy_[r] += block_entropy_[r];
      block_entropy_[r] = 0.0f;
    }
  }

  __device__ void add_block(const float (&p)[kOctets][4]) {
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
    if (place_.w >= 0) {
      add_piece(p);
    } else {
      add_bricks(p);
    }
    __syncwarp();
  }

  // After the last block: writes the row factors and the bins and returns the entropy of row r;
  // sums and inverse sums are those of the whole row.
  __device__ void finish(const RowMassOutput& output, int first_row, const RowSoftmax (&softmax)[2],
                         const float (&inverse_sum)[2], float (&entropy)[2]) {
    constexpr float kLn2 = 0.693147180559945309f;
    flush_places();
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float mean = quad_sum(entropy_[r]) * inverse_sum[r];
      // Rounding may leave a peaked row below zero.
      entropy[r] =
          softmax[r].sum > 0.0f ? fmaxf(0.0f, (log2f(softmax[r].sum) - mean) * kLn2) : 0.0f;
    }
    const float row_factor = own_live() ? own(inverse_sum[0], inverse_sum[1]) / own_factor_ : 0.0f;
    if (odd() == 0) output.row_factor[first_row + own_row()] = row_factor;
    const float of_row = by_row(row_factor);
    const int row = lane_ % kWarpRows;
    for (int bin = lane_ / kWarpRows; bin < output.num_bins; bin += 2) {
      output.bins[int64_t{bin} * kRowLanes + first_row + row] = bin_of(bin, row) * of_row;
    }
  }

 private:
  static constexpr float kMaxLead = 64.0f;  // log2 units

  // max: of the thread's own row.
  __device__ void follow_maximum(float max) {
    const bool leads = max > reference_ + kMaxLead;  // at the first finite maximum as well
    const float scale = leads && reference_ > -INFINITY ? exp2_fast(reference_ - max) : 1.0f;
    if (leads) reference_ = max;
    if (own_live() && reference_ > -INFINITY) own_factor_ = exp2_fast(max - reference_);
    if (__any_sync(0xffffffffu, scale != 1.0f)) scale_sums(by_row(scale));
  }

  // Of what earlier blocks have left of row lane % 16.
  __device__ void scale_sums(float scale) {
    __syncwarp();
    const int row = lane_ % kWarpRows;
    for (int bin = lane_ / kWarpRows; bin < output_.num_bins; bin += 2) {
      bin_of(bin, row) *= scale;
    }
    float* sums = own_sums_ - own_row() + row;
    for (int piece = lane_ / kWarpRows; piece < place_.first_piece; piece += 2) {
      sums[int64_t{piece} * kRowLanes] *= scale;
    }
    __syncwarp();
  }

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

  __device__ float& bin_of(int bin, int row) { return bins_[bin * kBinPitch + row]; }
  // value is relative to the running maximum, factor makes it so to the reference.
  __device__ static void add_scaled(float& sum, float value, float factor) {
    sum = fmaf(value, factor, sum);
  }

  // Bits of the thread's number in its row.
  __device__ int odd() const { return lane_ & 1; }
  __device__ int upper() const { return lane_ >> 1 & 1; }
  // The upper threads of the fragment's rows own the second ones.
  __device__ int own_row() const { return lane_ / 4 + 8 * upper(); }
  __device__ bool own_live() const { return own_factor_ > 0.0f; }
  __device__ float own(float first, float second) const { return upper() == 0 ? first : second; }
  // The value for row lane % 16, from those of the owners.
  __device__ float by_row(float of_own) const {
    return __shfl_sync(0xffffffffu, of_own, lane_ % 8 * 4 + lane_ % kWarpRows / 8 * 2);
  }

  // The own row's sum over the threads of a row with the same places along w.
  __device__ float own_sum(float first, float second) const {
    return exchange_sum(first, second, lane_, 2);
  }
  // sum: own_sum of all the thread's columns.
  __device__ void write_piece(int piece, float sum) {
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    if (odd() == 0) own_sums_[int64_t{piece} * kRowLanes] = sum * own_factor_;
  }
  // first, second: own_sum of the thread's two places along w.
  __device__ void add_w(int bin, float first, float second) {
    float* sums = own_bins_ + bin * kBinPitch;
    add_scaled(sums[0], first, own_factor_);
    add_scaled(sums[kBinPitch], second, own_factor_);
  }

  // A block of one piece and one place along w.
  __device__ void add_piece(const float (&p)[kOctets][4]) {
    float of_w[2][2] = {};  // as the softmax adds them: no work of their own
#pragma unroll
    for (int r = 0; r < 2; ++r) {
#pragma unroll
      for (int brick = 0; brick < kBlockBricks; ++brick) {
        of_w[r][0] += p[brick][2 * r];
        of_w[r][1] += p[brick][2 * r + 1];
      }
    }
    const float first = own_sum(of_w[0][0], of_w[1][0]), second = own_sum(of_w[0][1], of_w[1][1]);
    add_w(place_.w, first, second);
    write_piece(place_.first_piece, first + second);
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
        write_piece(piece, own_sum(of_piece[0], of_piece[1]));
        ++piece;
        of_piece[0] = of_piece[1] = 0.0f;
      }
      if ((brick.ends & kEndsW) != 0) {
        add_w(brick.w, own_sum(of_w[0][0], of_w[1][0]), own_sum(of_w[0][1], of_w[1][1]));
        of_w[0][0] = of_w[0][1] = of_w[1][0] = of_w[1][1] = 0.0f;
        __syncwarp();
      }
    }
  }

  // Adds what was kept by brick to the bins along t and h. Of both rows of the fragment the odd
  // threads take the second one here: the upper ones have another place along h.
  __device__ void flush_places() {
    if (places_ < 0) return;
    const KeyBrick* bricks = output_.bricks + int64_t{places_} * kBlockBricks;
    const int row = lane_ / 4 + 8 * odd();
    const float factor = __shfl_sync(0xffffffffu, own_factor_, lane_ / 4 * 4 + 2 * odd());
#pragma unroll
    for (int i = 0; i < kBlockBricks; ++i) {
      const KeyBrick brick = bricks[i];
      if (brick.t >= 0) {
        const float by_h = exchange_sum(bricks_[0][i], bricks_[1][i], lane_, 1);
        const float by_t = by_h + __shfl_xor_sync(0xffffffffu, by_h, 2);
        add_scaled(bin_of(brick.h + upper(), row), by_h, factor);
        if (upper() == 0) add_scaled(bin_of(brick.t, row), by_t, factor);
        __syncwarp();
      }
      bricks_[0][i] = bricks_[1][i] = 0.0f;
    }
  }

  const RowMassOutput output_;
  float* bins_;      // from the warp's first row on
  float* own_bins_;  // the own row's lane of the first of the thread's places along w
  float* own_sums_;  // the own row's lane of the pieces
  int lane_;
  float reference_ = -INFINITY;  // of the own row
  float own_factor_;             // exp2(its maximum - reference_); 0 for an idle row
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
  __device__ void add_block(const float (&)[kOctets][4]) {}
};

}  // namespace sparsescope::cuda
