// Body of the row kernels, compiled once for each instruction set: lanes run along D; the last
// vector of a row is filled up with zeros.
#pragma once

#include <cstdint>

#include "sparse/lanes-inl.h"
#include "sparse/token_rows.h"

namespace sparsescope::detail {
namespace {

template <int kLanes>
using Floats = typename VectorOf<kLanes>::Type;
template <int kLanes>
using Words = typename VectorOf<kLanes>::Bits;

template <int kLanes>
Floats<kLanes> as_floats(Words<kLanes> bits) {
  return (Floats<kLanes>)bits;
}

// How elements of each type are stored, and what kLanes of them are in fp32.
template <int kLanes>
struct Fp32 {
  using Element = float;
  using Stored = Floats<kLanes>;
  static Floats<kLanes> widen(Stored x) { return x; }
};

template <int kLanes>
struct Bf16 {
  using Element = uint16_t;
  using Stored = typename VectorOf<kLanes>::Half;
  static Floats<kLanes> widen(Stored x) {
    return as_floats<kLanes>(__builtin_convertvector(x, Words<kLanes>) << 16);
  }
};

template <int kLanes>
struct Fp16 {
  using Element = uint16_t;
  using Stored = typename VectorOf<kLanes>::Half;
  static Floats<kLanes> widen(Stored x) {
    const Words<kLanes> bits = __builtin_convertvector(x, Words<kLanes>);
    // The exponent's bias differs by 112; the product is right for subnormal numbers too.
    const Floats<kLanes> finite = as_floats<kLanes>((bits & 0x7fff) << 13) * 0x1p112f;
    const Words<kLanes> no_number = (Words<kLanes>)((bits & 0x7c00) == 0x7c00);
    return as_floats<kLanes>((Words<kLanes>)finite | (no_number & 0x7f800000) |
                             (bits & 0x8000) << 16);
  }
};

// Vector at x of a row with count > 0 elements left.
template <typename Type>
auto load(const typename Type::Element* x, int64_t count) {
  constexpr int64_t kLanes = sizeof(typename Type::Stored) / sizeof(typename Type::Element);
  typename Type::Stored stored = {};
  if (count >= kLanes) {
    __builtin_memcpy(&stored, x, sizeof(stored));
  } else {
    __builtin_memcpy(&stored, x, static_cast<size_t>(count) * sizeof(*x));
  }
  return Type::widen(stored);
}

template <int kLanes>
void store(Floats<kLanes> value, float* out, int64_t count) {
  if (count >= kLanes) {
    __builtin_memcpy(out, &value, sizeof(value));
  } else {
    __builtin_memcpy(out, &value, static_cast<size_t>(count) * sizeof(float));
  }
}

template <int kLanes>
float add_lanes(Floats<kLanes> value) {
  if constexpr (kLanes == 4) {
    return (value[0] + value[2]) + (value[1] + value[3]);
  } else {
    Floats<kLanes / 2> halves[2];
    __builtin_memcpy(halves, &value, sizeof(value));
    return add_lanes<kLanes / 2>(halves[0] + halves[1]);
  }
}

template <typename Type>
const typename Type::Element* row_of(const TokenRows& x, int64_t r) {
  return static_cast<const typename Type::Element*>(x.data) + x.tokens[r] * x.stride_token;
}

// kVectors vectors of every row, from element d on.
template <int kLanes, typename Type, int kVectors>
void sum_columns(const TokenRows& x, int64_t d, float* sum) {
  Floats<kLanes> sums[kVectors] = {};
  for (int64_t r = 0; r < x.num_rows; ++r) {
    const auto* row = row_of<Type>(x, r) + d;
    for (int v = 0; v < kVectors; ++v) {
      sums[v] += load<Type>(row + v * kLanes, x.head_dim - d - v * kLanes);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    const int64_t at = d + v * kLanes;
    store<kLanes>(sums[v], sum + at, x.head_dim - at);
  }
}

template <int kLanes, typename Type>
void sum_rows(const TokenRows& x, float* sum) {
  int64_t d = 0;
  for (; d + 4 * kLanes <= x.head_dim; d += 4 * kLanes) sum_columns<kLanes, Type, 4>(x, d, sum);
  for (; d < x.head_dim; d += kLanes) sum_columns<kLanes, Type, 1>(x, d, sum);
}

template <int kLanes, typename Type>
void normalize_rows(const TokenRows& x, float* unit_rows) {
  for (int64_t r = 0; r < x.num_rows; ++r) {
    const auto* row = row_of<Type>(x, r);
    Floats<kLanes> squares = {};
    for (int64_t d = 0; d < x.head_dim; d += kLanes) {
      const Floats<kLanes> value = load<Type>(row + d, x.head_dim - d);
      squares += value * value;
    }
    const float length = __builtin_sqrtf(add_lanes<kLanes>(squares));
    // A length that is no number stays one.
    const float inverse = 1.0f / (length < 1e-12f ? 1e-12f : length);
    float* unit = unit_rows + r * x.head_dim;
    for (int64_t d = 0; d < x.head_dim; d += kLanes) {
      store<kLanes>(load<Type>(row + d, x.head_dim - d) * inverse, unit + d, x.head_dim - d);
    }
  }
}

template <int kLanes>
void row_dots(const float* rows, int64_t num_rows, int64_t head_dim, const float* row,
              float* dots) {
  for (int64_t r = 0; r < num_rows; ++r) {
    const float* other = rows + r * head_dim;
    Floats<kLanes> products = {};
    for (int64_t d = 0; d < head_dim; d += kLanes) {
      products +=
          load<Fp32<kLanes>>(other + d, head_dim - d) * load<Fp32<kLanes>>(row + d, head_dim - d);
    }
    dots[r] = add_lanes<kLanes>(products);
  }
}

template <int kLanes>
void first_best_rows(const float* values, int64_t num_rows, int64_t columns, int32_t* best_at) {
  using Indices = Words<kLanes>;
  for (int64_t c = 0; c < columns; c += kLanes) {
    const int64_t left = columns - c;
    Floats<kLanes> best = load<Fp32<kLanes>>(values + c, left);
    Indices at = {};
    for (int64_t r = 1; r < num_rows; ++r) {
      const Floats<kLanes> value = load<Fp32<kLanes>>(values + r * columns + c, left);
      const auto better = value > best;
      best = better ? value : best;
      at = better ? Indices{} + static_cast<uint32_t>(r) : at;
    }
    const int64_t count = left < kLanes ? left : kLanes;
    for (int64_t i = 0; i < count; ++i) best_at[c + i] = static_cast<int32_t>(at[i]);
  }
}

template <int kLanes>
void sum_any(const TokenRows& x, float* sum) {
  if (x.dtype == Dtype::kF32) return sum_rows<kLanes, Fp32<kLanes>>(x, sum);
  if (x.dtype == Dtype::kBF16) return sum_rows<kLanes, Bf16<kLanes>>(x, sum);
  sum_rows<kLanes, Fp16<kLanes>>(x, sum);
}

template <int kLanes>
void normalize_any(const TokenRows& x, float* unit_rows) {
  if (x.dtype == Dtype::kF32) return normalize_rows<kLanes, Fp32<kLanes>>(x, unit_rows);
  if (x.dtype == Dtype::kBF16) return normalize_rows<kLanes, Bf16<kLanes>>(x, unit_rows);
  normalize_rows<kLanes, Fp16<kLanes>>(x, unit_rows);
}

template <int kLanes>
constexpr TokenRowKernels token_row_table() {
  return {.sum = sum_any<kLanes>,
          .normalize = normalize_any<kLanes>,
          .dots = row_dots<kLanes>,
          .first_best_rows = first_best_rows<kLanes>};
}

}  // namespace
}  // namespace sparsescope::detail
