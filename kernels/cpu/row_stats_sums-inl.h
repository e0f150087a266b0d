// Sums along rows and over lanes of a block.
#pragma once

#include "kernels/cpu/row_stats_vector-inl.h"

namespace sparsescope {
namespace {

void combine(const float* mass, const int32_t* target, int64_t num_cells, int64_t num_targets,
             float* out) {
  for (int64_t i = 0; i < num_targets * kLanes; i += kWidth) store(out + i, Vec{});
  // Neighbours often have one target: their sum stays in registers.
  for (int64_t cell = 0; cell < num_cells;) {
    float* to = out + int64_t{target[cell]} * kLanes;
    Vec sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = load(to + v * kWidth);
    const int32_t run = target[cell];
    for (; cell < num_cells && target[cell] == run; ++cell) {
      for (int v = 0; v < kVectors; ++v) sum[v] += load(mass + cell * kLanes + v * kWidth);
    }
    for (int v = 0; v < kVectors; ++v) store(to + v * kWidth, sum[v]);
  }
}

void fold_gates(const float* gate, const int32_t* target, int64_t rows, const float* weight,
                int64_t num_targets, int64_t stride, float* out) {
  for (int64_t t = 0; t < num_targets; ++t) {
    for (int i = 0; i < kLanes; i += kWidth) store(out + t * stride + i, Vec{});
  }
  for (int64_t r = 0; r < rows; ++r) {
    float* to = out + target[r] * stride;
    const float* from = gate + r * stride;
    const Vec factor = broadcast(weight[target[r]]);
    for (int i = 0; i < kLanes; i += kWidth) store(to + i, load(to + i) + factor * load(from + i));
  }
}

// One step of a transposition in registers: blocks of kHalf lanes trade places across the diagonal.
template <int kHalf>
inline void transpose_step(Vec* rows) {
  IntVec low, high;
  for (int i = 0; i < kWidth; ++i) {
    const bool second = (i & kHalf) != 0;
    low[i] = second ? kWidth + i - kHalf : i;
    high[i] = second ? kWidth + i : i + kHalf;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    if ((i & kHalf) != 0) continue;
    const Vec a = rows[i], b = rows[i + kHalf];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i + kHalf] = __builtin_shuffle(a, b, high);
  }
  if constexpr (kHalf > 1) transpose_step<kHalf / 2>(rows);
}

// sum[r] = sum over the lanes of rows[r], by halves.
inline Vec sums_of_rows(Vec* rows) {
  transpose_step<kWidth / 2>(rows);
#pragma GCC unroll 4
  for (int half = kWidth / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) rows[i] += rows[i + half];
  }
  return rows[0];
}

void weighted_sums(const float* data, int64_t rows, const float* weight, double* out) {
  Vec w[kVectors];
  for (int v = 0; v < kVectors; ++v) w[v] = load(weight + v * kWidth);
  const auto sum_of_row = [&](int64_t r) {
    Vec sum{};
    for (int v = 0; v < kVectors; ++v) sum += load(data + r * kLanes + v * kWidth) * w[v];
    return sum;
  };
  int64_t r = 0;
  for (; r + kWidth <= rows; r += kWidth) {
    Vec sum[kWidth];
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) sum[i] = sum_of_row(r + i);
    float sums[kWidth];
    store(sums, sums_of_rows(sum));
    for (int i = 0; i < kWidth; ++i) out[r + i] = sums[i];
  }
  for (; r < rows; ++r) out[r] = sum_of_lanes(sum_of_row(r));
}

void prefix_sums(const float* data, const int32_t* counts, int64_t num_counts, float* out) {
  for (int v = 0; v < kVectors; ++v) {
    Vec sum{};
    int64_t row = 0;
    for (int64_t i = 0; i < num_counts; ++i) {
      for (; row < counts[i]; ++row) sum += load(data + row * kLanes + v * kWidth);
      store(out + i * kLanes + v * kWidth, sum);
    }
  }
}

void extract_lanes(const float* data, int64_t rows, const uint8_t* lanes, int64_t count,
                   float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < count; ++i) out[i * rows + r] = data[r * kLanes + lanes[i]];
  }
}

void gather(const float* data, const int32_t* index, int64_t rows, float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t* from = index + r * kLanes;
    float* to = out + r * kLanes;
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = data[int64_t{from[lane]} * kLanes + lane];
  }
}

void absolute_difference(const float* data, int64_t rows, const float* mean, int64_t first_lane,
                         int64_t num_lanes, float* out) {
  const int64_t end = first_lane + num_lanes;
  for (int64_t at = first_lane / kWidth * kWidth; at < end; at += kWidth) {
    Vec sum{};
    for (int64_t r = 0; r < rows; ++r) {
      const Vec difference = load(data + r * kLanes + at) - mean[r];
      sum += difference > 0.0f ? difference : -difference;
    }
    store(out + at, sum);
  }
}

void widen_bf16(const uint16_t* bits, int64_t count, float* out) {
  auto* words = reinterpret_cast<uint32_t*>(out);
  for (int64_t i = 0; i < count; ++i) words[i] = uint32_t{bits[i]} << 16;
}

void add_rows(const float* const* rows, int64_t num_rows, int64_t depth, double* sums) {
  constexpr int kSums = 4;  // side by side: an addition waits for the one before
  int64_t d = 0;
  for (; d + kSums * kDoubleWidth <= depth; d += kSums * kDoubleWidth) {
    DoubleVec sum[kSums];
    for (int v = 0; v < kSums; ++v) sum[v] = load(sums + d + v * kDoubleWidth);
    for (int64_t i = 0; i < num_rows; ++i) {
      for (int v = 0; v < kSums; ++v) sum[v] += load_as_double(rows[i] + d + v * kDoubleWidth);
    }
    for (int v = 0; v < kSums; ++v) store(sums + d + v * kDoubleWidth, sum[v]);
  }
  for (; d + kDoubleWidth <= depth; d += kDoubleWidth) {
    DoubleVec sum = load(sums + d);
    for (int64_t i = 0; i < num_rows; ++i) sum += load_as_double(rows[i] + d);
    store(sums + d, sum);
  }
  for (; d < depth; ++d) {
    for (int64_t i = 0; i < num_rows; ++i) sums[d] += rows[i][d];
  }
}

void transpose(const float* const* rows, int64_t num_rows, int64_t depth, float* columns) {
  const int64_t whole = depth - depth % kWidth;
  for (int64_t lane = 0; lane < kLanes; lane += kWidth) {
    for (int64_t d = 0; d < whole; d += kWidth) {
      Vec block[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        block[i] = lane + i < num_rows ? load(rows[lane + i] + d) : Vec{};
      }
      transpose_step<kWidth / 2>(block);
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) store(columns + (d + i) * kLanes + lane, block[i]);
    }
  }
  for (int64_t d = whole; d < depth; ++d) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      columns[d * kLanes + lane] = lane < num_rows ? rows[lane][d] : 0.0f;
    }
  }
}

// Register blocks: kRows broadcasts against kColumns vectors of the channel.
constexpr int kColumns = kWidth == 16 ? 4 : 2;

template <int kRows>
void product_rows(const float* rows_by_d, int64_t depth, const float* columns, float* out,
                  int64_t out_stride) {
  Vec sum[kRows][kColumns] = {};
  for (int64_t d = 0; d < depth; ++d) {
    Vec column[kColumns];
#pragma GCC unroll 4
    for (int v = 0; v < kColumns; ++v) column[v] = load(columns + d * kLanes + v * kWidth);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
      const float factor = rows_by_d[r * depth + d];
#pragma GCC unroll 4
      for (int v = 0; v < kColumns; ++v) sum[r][v] += column[v] * factor;
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kColumns; ++v) store(out + r * out_stride + v * kWidth, sum[r][v]);
  }
}

void products(const float* rows_by_d, int64_t rows, int64_t depth, const float* columns, float* out,
              int64_t out_stride) {
  constexpr int kRows = 6;
  for (int v = 0; v < kLanes; v += kColumns * kWidth) {
    int64_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      product_rows<kRows>(rows_by_d + r * depth, depth, columns + v, out + r * out_stride + v,
                          out_stride);
    }
    for (; r < rows; ++r) {
      product_rows<1>(rows_by_d + r * depth, depth, columns + v, out + r * out_stride + v,
                      out_stride);
    }
  }
}

}  // namespace
}  // namespace sparsescope
