// The same softmax step with the statistics of the keys: piece sums, entropy, and sums by absolute
// key coordinate. All of it comes from values that the step holds in registers anyway, except the
// sums along w, which take a second sweep over the block in L1.
#pragma once

#include "kernels/cpu/softmax_body-inl.h"

namespace sparsescope::cpu {

// p * x is 0 where x is -inf and p is 0.
inline constexpr float kLowestExponent = -1000.0f;

template <class Simd>
[[gnu::always_inline]] inline void add_to(float* at, typename Simd::V value) {
  Simd::store(at, Simd::load(at) + value);
}

// Sums kVecs vectors of lanes over the keys of one piece.
template <class Simd, int kWidth, bool kScaled>
struct PieceStep {
  using V = typename Simd::V;
  static constexpr int kVecs = Tiling<Simd, kWidth>::kVecs;

  V scale;  // of the scores, where kScaled
  V maximum[kVecs];
  V row_sum[kVecs] = {};
  V entropy[kVecs] = {};

  // One run of keys along w: scores become probabilities, sum takes their sum.
  [[gnu::always_inline]] void run(float* scores, int32_t count, V* sum) {
    for (int32_t key = 0; key < count; ++key) {
      float* at = scores + key * kWidth;
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        const V score = Simd::load(at + v * Simd::kLanes);
        const V x = kScaled ? score * scale - maximum[v] : score - maximum[v];
        const V p = Simd::exp2(x);
        Simd::store(at + v * Simd::kLanes, p);
        sum[v] += p;
        entropy[v] += p * Simd::max(x, Simd::set(kLowestExponent));
      }
    }
  }

  // All runs of a piece; sum by t and h goes to the bins, the total to piece_sum.
  [[gnu::always_inline]] void piece(float* scores, const KeyPiece& piece, float* bins_t,
                                    float* bins_h, float* piece_sum) {
    V total[kVecs] = {};
    for (int32_t t = 0; t < piece.t; ++t) {
      V slab[kVecs] = {};
      for (int32_t h = 0; h < piece.h; ++h) {
        V line[kVecs] = {};
        run(scores, piece.w, line);
        scores += piece.w * kWidth;
#pragma GCC unroll 4
        for (int v = 0; v < kVecs; ++v) {
          slab[v] += line[v];
          if (piece.has_coordinates) {
            add_to<Simd>(bins_h + h * kWidth + v * Simd::kLanes, line[v]);
          }
        }
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        total[v] += slab[v];
        if (piece.has_coordinates) add_to<Simd>(bins_t + t * kWidth + v * Simd::kLanes, slab[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) {
      Simd::store(piece_sum + v * Simd::kLanes, total[v]);
      row_sum[v] += total[v];
    }
  }

  // Sums by w over lines of keys whose scores have become probabilities.
  [[gnu::always_inline]] static void sum_columns(const float* p, int32_t lines, int32_t keys,
                                                 float* bins_w) {
    for (int32_t w = 0; w < keys; ++w) {
      V sum[kVecs] = {};
      for (int32_t line = 0; line < lines; ++line) {
        const float* at = p + (line * keys + w) * kWidth;
#pragma GCC unroll 4
        for (int v = 0; v < kVecs; ++v) sum[v] += Simd::load(at + v * Simd::kLanes);
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        add_to<Simd>(bins_w + w * kWidth + v * Simd::kLanes, sum[v]);
      }
    }
  }
};

template <class Simd, int kWidth, bool kScaled>
void exponentiate_pieces(const KeyBlock& block, const KeyPiece* pieces, const RowTile& rows,
                         const MassTile& masses) {
  using T = Tiling<Simd, kWidth>;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    PieceStep<Simd, kWidth, kScaled> step;
    step.scale = Simd::set(rows.score_scale);
    for (int v = 0; v < T::kVecs; ++v) {
      step.maximum[v] = Simd::load(rows.row_max + lane + v * Simd::kLanes);
    }
    float* bins = masses.bins + lane;
    const int32_t end = block.first_piece + block.num_pieces;
    for (int32_t i = block.first_piece; i < end;) {
      // Pieces of one tile mostly have their coordinates along w in common.
      const KeyPiece& first = pieces[i];
      int32_t lines = 0;
      for (; i < end && pieces[i].w0 == first.w0 && pieces[i].w == first.w &&
             pieces[i].has_coordinates == first.has_coordinates;
           ++i) {
        const KeyPiece& piece = pieces[i];
        step.piece(rows.scores + piece.first * kWidth + lane, piece, bins + piece.t0 * kWidth,
                   bins + (masses.first_h_bin + piece.h0) * kWidth,
                   masses.piece_sums + static_cast<int64_t>(i) * kWidth + lane);
        lines += piece.t * piece.h;
      }
      if (first.has_coordinates) {
        step.sum_columns(rows.scores + first.first * kWidth + lane, lines, first.w,
                         bins + (masses.first_w_bin + first.w0) * kWidth);
      }
    }
    for (int v = 0; v < T::kVecs; ++v) {
      add_to<Simd>(rows.row_sum + lane + v * Simd::kLanes, step.row_sum[v]);
      add_to<Simd>(masses.entropy_sum + lane + v * Simd::kLanes, step.entropy[v]);
    }
  }
}

// Masses of cells from the sums of their pieces. Cells come in the order of their pieces, so that a
// cell's place is never behind the piece being read.
template <class Simd, int kWidth>
void finish_masses(const KeyBlock* blocks, int32_t num_blocks, const KeyPiece* pieces,
                   const RowTile& rows, const float* inverse_sum, MassTile& masses) {
  alignas(64) float factor[kWidth] = {};
  int32_t epoch = -1, cell = -1;
  for (int32_t j = 0; j < num_blocks; ++j) {
    if (masses.epoch_of_block[j] != epoch) {
      epoch = masses.epoch_of_block[j];
      for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
        const auto old_max = Simd::load(masses.epoch_max + epoch * kWidth + lane);
        const auto scale = Simd::exp2(old_max - Simd::load(rows.row_max + lane));
        Simd::store(factor + lane, scale * Simd::load(inverse_sum + lane));
      }
    }
    for (int32_t i = blocks[j].first_piece; i < blocks[j].first_piece + blocks[j].num_pieces; ++i) {
      const bool continues = pieces[i].cell == cell;
      cell = pieces[i].cell;
      const float* from = masses.piece_sums + static_cast<int64_t>(i) * kWidth;
      float* to = masses.piece_sums + static_cast<int64_t>(cell) * kWidth;
      for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
        const auto mass = Simd::load(from + lane) * Simd::load(factor + lane);
        Simd::store(to + lane, continues ? Simd::load(to + lane) + mass : mass);
      }
    }
  }
  scale_rows<Simd, kWidth>(masses.bins, masses.num_bins, inverse_sum);
}

}  // namespace sparsescope::cpu
