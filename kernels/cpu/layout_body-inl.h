// Widening, gathering and transposing of rows: everything that is done once a row, not once a pair.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/block_kernels.h"

namespace sparsescope::cpu {

template <class Simd>
inline float widen_bf16(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}

// 2^112 moves the exponent from fp16's bias to fp32's, and makes subnormals normal on the way.
template <class Simd>
inline float widen_f16(uint16_t bits) {
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fffu) << 13;
  const uint32_t finite =
      __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) * 0x1p112f);
  const uint32_t special = magnitude | 0x7f800000u;  // infinity or NaN
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  return __builtin_bit_cast(float, (magnitude < 0x0f800000u ? finite : special) | sign);
}

template <class Simd>
void pack_rows(const TokenRows& rows, const int32_t* tokens, int64_t count, int32_t head_dim,
               float* packed, int64_t packed_stride) {
  for (int64_t i = 0; i < count; ++i) {
    float* to = packed + i * packed_stride;
    const int64_t at = tokens[i] * rows.stride;
    if (rows.element == Element::kF32) {
      const float* from = static_cast<const float*>(rows.data) + at;
      for (int32_t d = 0; d < head_dim; ++d) to[d] = from[d];
    } else if (rows.element == Element::kBF16) {
      const uint16_t* from = static_cast<const uint16_t*>(rows.data) + at;
      for (int32_t d = 0; d < head_dim; ++d) to[d] = widen_bf16<Simd>(from[d]);
    } else {
      const uint16_t* from = static_cast<const uint16_t*>(rows.data) + at;
      for (int32_t d = 0; d < head_dim; ++d) to[d] = widen_f16<Simd>(from[d]);
    }
  }
}

template <class Simd>
[[gnu::always_inline]] inline float load_one(const float* at) {
  float value;  // words of two bf16 come through here, too
  __builtin_memcpy(&value, at, sizeof(value));
  return value;
}

// columns_t[d, r] = map(rows[index[r], d]); map takes a vector, and one value. index may be null.
template <class Simd, class Map>
[[gnu::always_inline]] inline void transpose(const float* rows, int64_t row_stride,
                                             const int32_t* index, int32_t depth, int32_t lanes,
                                             float* columns_t, const Map& map) {
  for (int32_t r = 0; r < lanes; r += Simd::kLanes) {
    const float* row[Simd::kLanes];
    for (int i = 0; i < Simd::kLanes; ++i) {
      row[i] = rows + (index == nullptr ? r + i : index[r + i]) * row_stride;
    }
    int32_t d = 0;
    for (; d + 4 <= depth; d += 4) {
      typename Simd::V x[4];
      for (int i = 0; i < 4; ++i) x[i] = Simd::load_quads(row + i, d);
      Simd::transpose_quads(x);
      for (int i = 0; i < 4; ++i) Simd::store(columns_t + (d + i) * lanes + r, map(x[i]));
    }
    for (; d < depth; ++d) {
      for (int i = 0; i < Simd::kLanes; ++i) {
        columns_t[d * lanes + r + i] = map(load_one<Simd>(row[i] + d));
      }
    }
  }
}

template <class Simd>
void transpose_rows(const float* rows, int64_t row_stride, const int32_t* index, int32_t head_dim,
                    int32_t lanes, float scale, float* columns_t) {
  transpose<Simd>(rows, row_stride, index, head_dim, lanes, columns_t,
                  [scale](auto values) { return values * scale; });
}

template <class Simd>
[[gnu::always_inline]] inline void put_quad(float* to, __m128 value, bool adds) {
  if (adds) value = _mm_add_ps(value, _mm_loadu_ps(to));
  _mm_storeu_ps(to, value);
}

// out_t [D, lanes] -> rows of out; lanes without a row are dropped.
template <class Simd>
void write_rows(const RowTile& rows, int32_t head_dim, const float* lane_scale, bool adds,
                float* out, int64_t out_stride, const int32_t* tokens, int32_t num_rows) {
  for (int32_t r = 0; r < num_rows; r += Simd::kLanes) {
    const int32_t live = num_rows - r < Simd::kLanes ? num_rows - r : Simd::kLanes;
    const auto scale = Simd::load(lane_scale + r);
    float* to[Simd::kLanes];
    for (int32_t i = 0; i < live; ++i) to[i] = out + tokens[r + i] * out_stride;
    int32_t d = 0;
    for (; d + 4 <= head_dim; d += 4) {
      typename Simd::V x[4];
      for (int i = 0; i < 4; ++i) x[i] = Simd::load(rows.out_t + (d + i) * rows.lanes + r) * scale;
      Simd::transpose_quads(x);
      for (int quad = 0; quad < Simd::kLanes / 4; ++quad) {
        for (int i = 0; i < 4; ++i) {
          const int row = 4 * quad + i;
          if (row < live) put_quad<Simd>(to[row] + d, Simd::quad(x[i], quad), adds);
        }
      }
    }
    for (; d < head_dim; ++d) {
      for (int32_t i = 0; i < live; ++i) {
        const float value = lane_scale[r + i] * rows.out_t[d * rows.lanes + r + i];
        to[i][d] = adds ? value + to[i][d] : value;
      }
    }
  }
}

}  // namespace sparsescope::cpu
