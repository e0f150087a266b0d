// What one ISA's object file offers to the drivers: operations on one block of query rows. Plain
// structs and function pointers only, because this header is compiled with every ISA's flags: an
// inline function here could be linked from the AVX-512 object and stop an older CPU.
//
// Lanes are queries. Everything a row block needs lies transposed, [.., lanes], so that maximum,
// sum, masses and rescaling are vertical and nothing is ever reduced across a vector.
#pragma once

#include <cstdint>

namespace sparsescope::cpu {

inline constexpr int kKeyBlock = 64;                       // keys of one softmax step, at most
inline constexpr int kPairRows = 4 * (kKeyBlock / 2 + 1);  // pairs of keys that wait for V, at most

// The row maximum of a row that has seen no key. Finite, so that s - max is -inf, never NaN, where
// s = -inf; no finite logit of an attention layer comes near it.
inline constexpr float kNoMaximum = -1e30f;

enum class Element { kF32, kBF16, kF16 };

// The token rows of one head, as the caller stores them.
struct TokenRows {
  const void* data = nullptr;
  Element element = Element::kF32;
  int64_t stride = 0;  // elements from token to token
};

// K and V of one head, gathered into the key order: fp32, or for PairKernels words of two bf16.
struct HeadKeys {
  const float* k = nullptr;  // [positions, stride]; words of two channels: [positions, stride]
  const float* v = nullptr;  // [positions, v_stride]; words of two keys: [positions / 2, v_stride]
  int64_t stride = 0;
  int64_t v_stride = 0;      // = stride in fp32
  int32_t head_dim = 0;      // D
  bool fetch_ahead = false;  // k and v do not stay in L2 from one row block to the next
};

// A run of keys that one softmax step handles.
struct KeyBlock {
  int32_t first = 0;  // position in the key order
  int32_t count = 0;  // 1 .. kKeyBlock
  int32_t first_piece = 0;
  int32_t num_pieces = 0;
};

// The part of one cell in one key block, cut so that it is a box again.
struct KeyPiece {
  int32_t cell = 0;
  int32_t first = 0;               // key of the block
  int32_t t0 = 0, h0 = 0, w0 = 0;  // absolute coordinates of its first key
  int32_t t = 1, h = 1, w = 0;     // extents; keys lie in (t, h, w) order
  bool has_coordinates = true;     // false for text
};

// Running softmax of one row block, in log2 units. Lanes behind the rows repeat the last row.
struct RowTile {
  int32_t lanes = 0;     // 16, 32 or 64
  float* q_t = nullptr;  // [D, lanes] scaled by scale * log2(e); words: [D / 2, lanes], unscaled
  float score_scale = 1.0f;     // what brings scores to log2 units
  float* out_t = nullptr;       // [D, lanes] sum of 2^(s - row_max) * v
  float* scores = nullptr;      // [kKeyBlock, lanes] s, then 2^(s - row_max)
  float* prob_pairs = nullptr;  // [kPairRows, lanes] words of two keys; only for PairKernels
  float* row_max = nullptr;     // [lanes] stale: true maximum <= row_max + threshold
  float* row_sum = nullptr;     // [lanes] sum of 2^(s - row_max)
};

// Sums kept beside a RowTile of 64 lanes. A piece's sum is relative to the row_max in use when it
// was taken; an epoch is a stretch of key blocks between two changes of row_max.
struct MassTile {
  float* piece_sums = nullptr;        // [num_pieces, 64]
  int32_t* epoch_of_block = nullptr;  // [num_blocks]
  float* epoch_max = nullptr;         // [num_blocks + 1, 64]
  int32_t num_epochs = 0;
  float* entropy_sum = nullptr;  // [64] sum of p * (s - row_max), p = 2^(s - row_max)
  float* bins = nullptr;         // [T + Hg + Wg, 64] sums by absolute key coordinate
  int32_t num_bins = 0;
  int32_t first_h_bin = 0;  // T
  int32_t first_w_bin = 0;  // T + Hg
};

// Running softmax of the rows of a strand whose items meet in them.
struct MergedRows {
  float* out = nullptr;      // [rows, stride] sum of 2^(s - maximum) * v
  int64_t stride = 0;        // floats, whole vectors
  float* maximum = nullptr;  // [rows] log2 units, stale as RowTile's
  float* sum = nullptr;      // [rows] sum of 2^(s - maximum)
};

// One row block of the backward pass. Lanes behind the rows have lse +infinity, so that their
// probabilities are 0.
struct GradientTile {
  int32_t lanes = 0;            // 16, 32 or 64
  int32_t num_rows = 0;         // 1 .. lanes
  int64_t row_stride = 0;       // floats, whole vectors
  float* q_rows = nullptr;      // [num_rows, row_stride] as they came
  float* d_out_rows = nullptr;  // [num_rows, row_stride]
  float* q_t = nullptr;         // [D, lanes] scaled by scale * log2(e)
  float* d_out_t = nullptr;     // [D, lanes]
  float* dq_t = nullptr;        // [D, lanes] sum of dS * k
  float* probs = nullptr;       // [kKeyBlock, lanes]
  float* d_scores = nullptr;    // [kKeyBlock, lanes]
  float* lse = nullptr;         // [lanes] log2 units
  float* delta = nullptr;       // [lanes] d_out . out
};

// Sums over the row blocks seen so far, in the order and stride of HeadKeys.
struct KeyGradients {
  float* dk = nullptr;  // [positions, stride] sum of dS * q, the scale left out
  float* dv = nullptr;  // [positions, stride] sum of P * d_out
};

// The forward pass over key blocks; in PairKernels on words of two bf16.
struct AttendKernels {
  // Adds key blocks to the running softmax.
  void (*plain)(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                const RowTile& rows);
  // The same, and the masses of the blocks' pieces; 64 lanes.
  void (*with_masses)(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                      const KeyPiece* pieces, const RowTile& rows, MassTile& masses);
  // Adds key blocks to the running softmax of rows index[num_rows] of merged. Of rows only q_t is
  // input.
  void (*merged)(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                 const RowTile& rows, const MergedRows& merged, const int32_t* index,
                 int32_t num_rows);
};

struct BlockKernels {
  const char* isa;  // "base", "avx2" or "avx512", from the flags that the object was compiled with

  // packed[i, 0 .. D) = row tokens[i], widened to fp32
  void (*pack_rows)(const TokenRows& rows, const int32_t* tokens, int64_t count, int32_t head_dim,
                    float* packed, int64_t packed_stride);
  // columns_t[d, r] = scale * rows[index[r], d]; index null: row r
  void (*transpose_rows)(const float* rows, int64_t row_stride, const int32_t* index,
                         int32_t head_dim, int32_t lanes, float scale, float* columns_t);
  // dots[lane] = sum over d of a_t[d, lane] * b_t[d, lane]
  void (*column_dots)(const float* a_t, const float* b_t, int32_t head_dim, int32_t lanes,
                      float* dots);
  // Sets the state of a row block before its first key.
  void (*reset)(const RowTile& rows, int32_t head_dim);
  void (*reset_masses)(MassTile& masses);
  AttendKernels attend;
  // out[tokens[i], d] = merged.out[i, d] / merged.sum[i]; 0 where the sum is 0
  void (*write_merged)(const MergedRows& merged, int32_t head_dim, float* out, int64_t out_stride,
                       const int32_t* tokens, int64_t count);
  // out[tokens[r], d] = lane_scale[r] * out_t[d, r], added to what is there where adds
  void (*write_rows)(const RowTile& rows, int32_t head_dim, const float* lane_scale, bool adds,
                     float* out, int64_t out_stride, const int32_t* tokens, int32_t num_rows);
  // Adds what a row block contributes to dq_t and to the gradients of the keys it attends to.
  void (*differentiate)(const HeadKeys& keys, const KeyBlock* blocks, int32_t num_blocks,
                        const GradientTile& rows, const KeyGradients& gradients);
  // Turns piece sums into cell masses, in place at the head of piece_sums, and scales the bins.
  // inverse_sum[64] is 1 / row_sum, 0 in lanes without a row.
  void (*finish_masses)(const KeyBlock* blocks, int32_t num_blocks, const KeyPiece* pieces,
                        const RowTile& rows, const float* inverse_sum, MassTile& masses);
};

// The same steps on bf16 inputs with the bf16 dot product of the processor, in place of their
// namesakes above. Word arrays are declared as floats.
struct PairKernels {
  const char* isa;  // "avx512bf16"

  // words[i, d / 2] = channels d and d + 1 of row tokens[i]
  void (*pack_channel_pairs)(const TokenRows& rows, const int32_t* tokens, int64_t count,
                             int32_t head_dim, float* words, int64_t stride);
  // words[i / 2, d] = channel d of rows tokens[i] and tokens[i + 1], 0 behind the last one
  void (*pack_key_pairs)(const TokenRows& rows, const int32_t* tokens, int64_t count,
                         int32_t head_dim, float* words, int64_t stride);
  // columns_t[x, r] = rows[index[r], x], bit by bit; index null: row r
  void (*transpose_words)(const float* rows, int64_t row_stride, const int32_t* index,
                          int32_t depth, int32_t lanes, float* columns_t);
  AttendKernels attend;
};

const BlockKernels& base_block_kernels();
const BlockKernels& avx2_block_kernels();
const BlockKernels& avx512_block_kernels();
const PairKernels& avx512bf16_pair_kernels();

}  // namespace sparsescope::cpu
