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

// rows [lanes, depth] -> columns_t [depth, lanes]; map takes four values, and one.
template <class Simd, class MapQuad, class MapOne>
[[gnu::always_inline]] inline void transpose(const float* rows, int64_t row_stride, int32_t depth,
                                             int32_t lanes, float* columns_t,
                                             const MapQuad& map_quad, const MapOne& map_one) {
  for (int32_t r = 0; r < lanes; r += 4) {
    const float* row = rows + r * row_stride;
    int32_t d = 0;
    for (; d + 4 <= depth; d += 4) {
      __m128 a = _mm_loadu_ps(row + d);
      __m128 b = _mm_loadu_ps(row + row_stride + d);
      __m128 c = _mm_loadu_ps(row + 2 * row_stride + d);
      __m128 e = _mm_loadu_ps(row + 3 * row_stride + d);
      _MM_TRANSPOSE4_PS(a, b, c, e);
      _mm_store_ps(columns_t + (d + 0) * lanes + r, map_quad(a));
      _mm_store_ps(columns_t + (d + 1) * lanes + r, map_quad(b));
      _mm_store_ps(columns_t + (d + 2) * lanes + r, map_quad(c));
      _mm_store_ps(columns_t + (d + 3) * lanes + r, map_quad(e));
    }
    for (; d < depth; ++d) {
      for (int32_t i = 0; i < 4; ++i)
        columns_t[d * lanes + r + i] = map_one(row[i * row_stride + d]);
    }
  }
}

template <class Simd>
void transpose_rows(const float* rows, int64_t row_stride, int32_t head_dim, int32_t lanes,
                    float scale, float* columns_t) {
  const __m128 factor = _mm_set1_ps(scale);
  transpose<Simd>(
      rows, row_stride, head_dim, lanes, columns_t,
      [factor](__m128 values) { return _mm_mul_ps(values, factor); },
      [scale](float value) { return scale * value; });
}

template <class Simd>
[[gnu::always_inline]] inline void put_quad(float* to, __m128 value, const float* old_scale) {
  if (old_scale != nullptr) {
    value = _mm_add_ps(value, _mm_mul_ps(_mm_set1_ps(*old_scale), _mm_loadu_ps(to)));
  }
  _mm_storeu_ps(to, value);
}

// out_t [D, lanes] -> rows of out; lanes without a row are dropped.
template <class Simd>
void write_rows(const RowTile& rows, int32_t head_dim, const float* lane_scale,
                const float* old_scale, float* out, int64_t out_stride, const int32_t* tokens,
                int32_t num_rows) {
  for (int32_t r = 0; r < num_rows; r += 4) {
    const int32_t live = num_rows - r < 4 ? num_rows - r : 4;
    const __m128 scale = _mm_load_ps(lane_scale + r);
    const auto column = [&](int32_t d) {
      return _mm_mul_ps(_mm_load_ps(rows.out_t + d * rows.lanes + r), scale);
    };
    const auto old = [&](int32_t i) { return old_scale == nullptr ? nullptr : old_scale + r + i; };
    float* to[4];
    for (int32_t i = 0; i < live; ++i) to[i] = out + tokens[r + i] * out_stride;
    int32_t d = 0;
    for (; d + 4 <= head_dim; d += 4) {
      __m128 quad[4] = {column(d), column(d + 1), column(d + 2), column(d + 3)};
      _MM_TRANSPOSE4_PS(quad[0], quad[1], quad[2], quad[3]);
      for (int32_t i = 0; i < live; ++i) put_quad<Simd>(to[i] + d, quad[i], old(i));
    }
    for (; d < head_dim; ++d) {
      for (int32_t i = 0; i < live; ++i) {
        const float value = lane_scale[r + i] * rows.out_t[d * rows.lanes + r + i];
        to[i][d] = old_scale == nullptr ? value : value + old_scale[r + i] * to[i][d];
      }
    }
  }
}

}  // namespace sparsescope::cpu
