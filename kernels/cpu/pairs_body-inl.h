// The attention loop on bf16 inputs with the bf16 dot product: scores from pairs of channels, the
// output from pairs of keys. Maximum, softmax and masses are those of the fp32 body; probabilities
// are rounded to bf16 only after their sums were taken.
//
// Pairs of keys are counted from position 0 of the key order, so that V is interleaved once a head:
// a block that starts or ends within a pair has probability 0 for the key that is not its own.
// Probabilities wait until kPairRows rows of pairs are there, or the maximum rises: the output
// then stays in registers over several key blocks.
#pragma once

#include "kernels/cpu/layout_body-inl.h"
#include "kernels/cpu/masses_body-inl.h"

namespace sparsescope::cpu {

// Pairs of bf16 values, one a lane; both products are added to the lane's sum.
template <class SimdType>
struct PairProducts {
  using Simd = SimdType;
  using V = typename Simd::V;
  using Words = typename Simd::Words;
  static Words load(const float* at) { return Simd::load_words(at); }
  static Words broadcast(const float* at) { return Simd::broadcast_word(at); }
  static V add(V sum, Words left, Words right) { return Simd::add_products(sum, left, right); }
};

// As score_block; block_max in log2 units, the scores not yet scaled. Fetches the block's V and the
// next block's K.
template <class Simd, int kWidth>
void score_pairs(const HeadKeys& keys, const KeyBlock& block, const KeyBlock& next,
                 const RowTile& rows, float* block_max) {
  using T = Tiling<Simd, kWidth>;
  const int32_t depth = (keys.head_dim + 1) / 2;
  const float* k = keys.k + block.first * keys.stride;
  const float* next_k = keys.k + next.first * keys.stride;
  const float* v = keys.v + block.first / 2 * keys.v_stride;
  const int64_t k_step = keys.fetch_ahead ? ceil_div<Simd>(T::kRun * keys.stride, depth) : 0;
  const int64_t v_step = keys.fetch_ahead ? ceil_div<Simd>(T::kRun * keys.v_stride, 2 * depth) : 0;
  const auto scale = Simd::set(rows.score_scale);
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    typename Simd::V highest[T::kVecs];
    for (auto& vector : highest) vector = Simd::set(-__builtin_inff());
    for_runs<T::kRun>(0, block.count, [&]<int kKeys>(int32_t key) {
      float* scores = rows.scores + key * kWidth + lane;
      Ahead<Simd> ahead_k{next_k + key * keys.stride, k_step};
      Ahead<Simd> ahead_v{v + key * keys.v_stride / 2, v_step};
      multiply_tile<PairProducts<Simd>, kKeys, T::kVecs>(
          {k + key * keys.stride, keys.stride, 1}, rows.q_t + lane, kWidth, depth,
          [&] {
            ahead_k.fetch();
            ahead_v.fetch();
          },
          [&](int i, int vec, typename Simd::V score) {
            Simd::store(scores + i * kWidth + vec * Simd::kLanes, score);
            highest[vec] = Simd::max(highest[vec], score);
          });
    });
    for (int vec = 0; vec < T::kVecs; ++vec) {
      Simd::store(block_max + lane + vec * Simd::kLanes, highest[vec] * scale);
    }
  }
}

// Rows of probability pairs that wait for their product with V.
struct PendingPairs {
  static constexpr int32_t kMaxRuns = 32;
  struct Run {
    int64_t first_pair;  // of the key order
    int32_t count;
  };
  Run runs[kMaxRuns];
  int32_t num_runs = 0;
  int32_t num_rows = 0;
};

template <class Simd>
bool has_room(const PendingPairs& pending) {
  return pending.num_runs < PendingPairs::kMaxRuns &&
         pending.num_rows + kKeyBlock / 2 + 1 <= kPairRows;
}

// Calls pair(row, low_key, high_key) for the block's rows of pairs; a key outside it is -1.
template <class Simd, class Pair>
[[gnu::always_inline]] inline int32_t for_pairs(const KeyBlock& block, const Pair& pair) {
  const int32_t shift = block.first & 1;
  const int32_t num_pairs = (block.count + shift + 1) / 2;
  const int32_t whole_first = shift, whole_last = (block.count + shift) / 2;
  if (shift != 0) pair(0, -1, 0);
  for (int32_t i = whole_first; i < whole_last; ++i) pair(i, 2 * i - shift, 2 * i - shift + 1);
  if (num_pairs > whole_last && num_pairs > whole_first) pair(whole_last, block.count - 1, -1);
  return num_pairs;
}

// Adds the block's probabilities to those pending; probability(key, v) gives a vector of them.
template <class Simd, int kWidth, class Probability>
[[gnu::always_inline]] inline void append_pairs(const KeyBlock& block, const RowTile& rows,
                                                PendingPairs& pending,
                                                const Probability& probability) {
  using V = typename Simd::V;
  using T = Tiling<Simd, kWidth>;
  float* pairs = rows.prob_pairs + pending.num_rows * kWidth;
  int32_t num_pairs = 0;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    const auto take = probability(lane);
    num_pairs = for_pairs<Simd>(block, [&](int32_t row, int32_t low, int32_t high) {
#pragma GCC unroll 4
      for (int v = 0; v < T::kVecs; ++v) {
        const V a = low < 0 ? Simd::set(0.0f) : take(low, v);
        const V b = high < 0 ? Simd::set(0.0f) : take(high, v);
        Simd::store_words(pairs + row * kWidth + lane + v * Simd::kLanes, Simd::round_pairs(a, b));
      }
    });
  }
  pending.runs[pending.num_runs++] = {block.first / 2, num_pairs};
  pending.num_rows += num_pairs;
}

// The softmax step and the rounding in one pass over the scores.
template <class Simd, int kWidth>
void exponentiate_to_pairs(const KeyBlock& block, const RowTile& rows, PendingPairs& pending) {
  using V = typename Simd::V;
  using T = Tiling<Simd, kWidth>;
  alignas(64) float sums[kWidth];
  for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
    Simd::store(sums + lane, Simd::load(rows.row_sum + lane));
  }
  const V scale = Simd::set(rows.score_scale);
  append_pairs<Simd, kWidth>(block, rows, pending, [&](int lane) {
    struct Step {
      const float* scores;
      V scale, maximum[T::kVecs], sum[T::kVecs];
      float* sums;
      Step(const float* scores_, V scale_, const float* row_max, float* sums_)
          : scores(scores_), scale(scale_), sums(sums_) {
        for (int v = 0; v < T::kVecs; ++v) {
          maximum[v] = Simd::load(row_max + v * Simd::kLanes);
          sum[v] = Simd::load(sums + v * Simd::kLanes);
        }
      }
      ~Step() {
        for (int v = 0; v < T::kVecs; ++v) Simd::store(sums + v * Simd::kLanes, sum[v]);
      }
      [[gnu::always_inline]] V operator()(int32_t key, int v) const {
        const V score = Simd::load(scores + key * kWidth + v * Simd::kLanes);
        const V p = Simd::exp2(score * scale - maximum[v]);
        const_cast<Step*>(this)->sum[v] += p;
        return p;
      }
    };
    return Step(rows.scores + lane, scale, rows.row_max + lane, sums + lane);
  });
  for (int lane = 0; lane < kWidth; lane += Simd::kLanes) {
    Simd::store(rows.row_sum + lane, Simd::load(sums + lane));
  }
}

// Rounds probabilities that stand in place of the scores.
template <class Simd, int kWidth>
void round_to_pairs(const KeyBlock& block, const RowTile& rows, PendingPairs& pending) {
  append_pairs<Simd, kWidth>(block, rows, pending, [&](int lane) {
    return [at = rows.scores + lane](int32_t key, int v) {
      return Simd::load(at + key * kWidth + v * Simd::kLanes);
    };
  });
}

// Calls multiply(probs, values, count) for each pending run of pairs.
template <class Simd, int kWidth, class Multiply>
[[gnu::always_inline]] inline void for_pending(const HeadKeys& keys, const PendingPairs& pending,
                                               const float* pairs, const Multiply& multiply) {
  for (int32_t run = 0; run < pending.num_runs; ++run) {
    const int32_t count = pending.runs[run].count;
    multiply(pairs, keys.v + pending.runs[run].first_pair * keys.v_stride, count);
    pairs += count * kWidth;
  }
}

template <class Simd, int kWidth>
void add_pending(const HeadKeys& keys, const PendingPairs& pending, const float* pairs,
                 const ColumnOutput<Simd, kWidth>& output) {
  using T = Tiling<Simd, kWidth>;
  using Product = PairProducts<Simd>;
  for (int lane = 0; lane < kWidth; lane += T::kStep) {
    for_runs<T::kRun>(0, keys.head_dim, [&]<int kColumns>(int32_t column) {
      update_columns<Product, kWidth,
                     kColumns>(output.out_t + column * kWidth + lane, [&](auto& acc) {
        for_pending<Simd, kWidth>(
            keys, pending, pairs + lane, [&](const float* p, const float* v, int32_t count) {
              multiply_add<Product>(acc, {v + column, 1, keys.v_stride}, p, kWidth, count, [] {});
            });
      });
    });
  }
}

template <class Simd, int kWidth>
void add_pending(const HeadKeys& keys, const PendingPairs& pending, const float* pairs,
                 const MergedOutput<Simd, kWidth>& output) {
  using Product = PairProducts<Simd>;
  for_columns<Simd>(keys.head_dim, [&]<int kVecs>(int32_t column) {
    add_product<Product, kVecs>(
        output.num_rows, [&](int32_t r) { return output.row(r) + column; },
        [&](int32_t r, auto& acc) {
          for_pending<Simd, kWidth>(
              keys, pending, pairs + r, [&](const float* p, const float* v, int32_t count) {
                multiply_add<Product>(acc, {p, 1, kWidth}, v + column, keys.v_stride, count, [] {});
              });
        });
  });
}

template <class Simd, int kWidth, class Output>
void flush_pairs(const HeadKeys& keys, const RowTile& rows, PendingPairs& pending,
                 const Output& output) {
  if (pending.num_rows == 0) return;
  add_pending(keys, pending, rows.prob_pairs, output);
  pending.num_runs = pending.num_rows = 0;
}

// As attend_rows.
template <class Simd, int kWidth, bool kWithMasses, class Output>
void attend_pair_rows(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                      const KeyPiece* pieces, const RowTile& rows, MassTile* masses,
                      const Output& output) {
  alignas(64) float block_max[kWidth];
  PendingPairs pending;
  for (int32_t j = 0; j < num_blocks; ++j) {
    const KeyBlock& block = blocks[j];
    score_pairs<Simd, kWidth>(keys, block, blocks[j + 1 < num_blocks ? j + 1 : j], rows, block_max);
    const bool rises = exceeds_threshold<Simd, kWidth>(block_max, rows.row_max);
    if (rises || !has_room<Simd>(pending)) flush_pairs<Simd, kWidth>(keys, rows, pending, output);
    if (rises) raise_maximum<Simd, kWidth>(block_max, rows, masses, output);
    if constexpr (kWithMasses) {
      masses->epoch_of_block[j] = masses->num_epochs - 1;
      exponentiate_pieces<Simd, kWidth, true>(block, pieces, rows, *masses);
      round_to_pairs<Simd, kWidth>(block, rows, pending);
    } else {
      exponentiate_to_pairs<Simd, kWidth>(block, rows, pending);
    }
  }
  flush_pairs<Simd, kWidth>(keys, rows, pending, output);
}

template <class Simd>
void attend_pairs(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                  const RowTile& rows) {
  with_lanes<Simd>(rows.lanes, [&]<int kWidth>() {
    attend_pair_rows<Simd, kWidth, false>(keys, blocks, num_blocks, nullptr, rows, nullptr,
                                          ColumnOutput<Simd, kWidth>{rows.out_t, keys.head_dim});
  });
}

template <class Simd>
void attend_pairs_with_masses(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                              const KeyPiece* pieces, const RowTile& rows, MassTile& masses) {
  attend_pair_rows<Simd, 64, true>(keys, blocks, num_blocks, pieces, rows, &masses,
                                   ColumnOutput<Simd, 64>{rows.out_t, keys.head_dim});
}

template <class Simd>
void attend_merged_pairs(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                         const RowTile& rows, const MergedRows& merged, const int32_t* index,
                         int32_t num_rows) {
  load_merged<Simd>(merged, index, num_rows, rows);
  with_lanes<Simd>(rows.lanes, [&]<int kWidth>() {
    attend_pair_rows<Simd, kWidth, false>(
        keys, blocks, num_blocks, nullptr, rows, nullptr,
        MergedOutput<Simd, kWidth>{merged, index, num_rows, keys.head_dim});
  });
  store_merged<Simd>(merged, index, num_rows, rows);
}

// words[i, d / 2] = channels d and d + 1 of row tokens[i]
template <class Simd>
void pack_channel_pairs(const TokenRows& rows, const int32_t* tokens, int64_t count,
                        int32_t head_dim, float* words, int64_t stride) {
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t* from = static_cast<const uint16_t*>(rows.data) + tokens[i] * rows.stride;
    auto* to = reinterpret_cast<char*>(words + i * stride);
    __builtin_memcpy(to, from, head_dim * sizeof(uint16_t));
    if (head_dim % 2 != 0) __builtin_memset(to + head_dim * sizeof(uint16_t), 0, sizeof(uint16_t));
  }
}

// words[i / 2, d] = channel d of rows tokens[i] and tokens[i + 1], 0 behind the last one
template <class Simd>
void pack_key_pairs(const TokenRows& rows, const int32_t* tokens, int64_t count, int32_t head_dim,
                    float* words, int64_t stride) {
  const auto row = [&](int64_t i) {
    return static_cast<const uint16_t*>(rows.data) + tokens[i] * rows.stride;
  };
  for (int64_t i = 0; i < count; i += 2) {
    const uint16_t* low = row(i);
    const uint16_t* high = i + 1 < count ? row(i + 1) : nullptr;
    float* to = words + i / 2 * stride;
    for (int32_t d = 0; d < head_dim; ++d) {
      const uint32_t word = low[d] | (high == nullptr ? 0u : static_cast<uint32_t>(high[d]) << 16);
      to[d] = __builtin_bit_cast(float, word);
    }
  }
}

template <class Simd>
void transpose_words(const float* rows, int64_t row_stride, const int32_t* index, int32_t depth,
                     int32_t lanes, float* columns_t) {
  transpose<Simd>(rows, row_stride, index, depth, lanes, columns_t,
                  [](auto words) { return words; });
}

template <class Simd>
inline constexpr PairKernels kPairKernels{
    .isa = Simd::kName,
    .pack_channel_pairs = pack_channel_pairs<Simd>,
    .pack_key_pairs = pack_key_pairs<Simd>,
    .transpose_words = transpose_words<Simd>,
    .attend = {.plain = attend_pairs<Simd>,
               .with_masses = attend_pairs_with_masses<Simd>,
               .merged = attend_merged_pairs<Simd>},
};

}  // namespace sparsescope::cpu
