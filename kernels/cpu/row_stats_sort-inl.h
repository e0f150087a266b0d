// Bitonic sort of all columns of a block at once. A pass over memory holds 2^kLevels rows in
// registers and runs kLevels levels of the network on them: one level a pass would be bound by
// loads and stores.
#pragma once

#include "kernels/cpu/row_stats_vector-inl.h"

namespace sparsescope {
namespace {

// Columns of keys alone: 16 rows fit the registers.
struct KeyColumns {
  static constexpr int kMaxLevels = 4;
  struct Item {
    Vec key;
  };
  float* key;

  Item get(int64_t row) const { return {load(key + row * kLanes)}; }
  void put(int64_t row, const Item& item) const { store(key + row * kLanes, item.key); }
  static void order(Item& high, Item& low) {
    const Vec a = high.key, b = low.key;
    high.key = larger(a, b);
    low.key = smaller(a, b);
  }
};

// Keys that carry an index; equal keys are ordered by it, so that the result is unique.
struct IndexedColumns {
  static constexpr int kMaxLevels = 3;
  struct Item {
    Vec key;
    IntVec index;
  };
  float* key;
  int32_t* index;

  Item get(int64_t row) const { return {load(key + row * kLanes), load(index + row * kLanes)}; }
  void put(int64_t row, const Item& item) const {
    store(key + row * kLanes, item.key);
    store(index + row * kLanes, item.index);
  }
  static void order(Item& high, Item& low) {
    const Item a = high, b = low;
    const IntVec swap = (b.key > a.key) | ((b.key == a.key) & (b.index < a.index));
    high.key = swap ? b.key : a.key;
    low.key = swap ? a.key : b.key;
    high.index = swap ? b.index : a.index;
    low.index = swap ? a.index : b.index;
  }
};

// One vector of columns of keys in fp64, row behind row.
struct DoubleColumns {
  static constexpr int kMaxLevels = 4;
  struct Item {
    DoubleVec key;
  };
  double* key;

  Item get(int64_t row) const { return {load(key + row * kDoubleWidth)}; }
  void put(int64_t row, const Item& item) const { store(key + row * kDoubleWidth, item.key); }
  static void order(Item& high, Item& low) {
    const DoubleVec a = high.key, b = low.key;
    high.key = larger(a, b);
    low.key = smaller(a, b);
  }
};

template <bool kDescending, typename Columns>
inline void order_rows(typename Columns::Item& first, typename Columns::Item& second) {
  if constexpr (kDescending) {
    Columns::order(first, second);
  } else {
    Columns::order(second, first);
  }
}

// The half-cleaners of a bitonic sequence of 2^kLevels items: distances 2^(kLevels-1) .. 1.
template <int kLevels, bool kDescending, typename Columns>
inline void merge_registers(typename Columns::Item* item) {
  constexpr int kItems = 1 << kLevels;
#pragma GCC unroll 16
  for (int level = kLevels - 1; level >= 0; --level) {
#pragma GCC unroll 16
    for (int i = 0; i < kItems; ++i) {
      if (((i >> level) & 1) == 0) {
        order_rows<kDescending, Columns>(item[i], item[i + (1 << level)]);
      }
    }
  }
}

// The comparators of Batcher's odd-even merge sort of 2^kLevels items: fewer than a bitonic sort
// has.
template <int kLevels>
struct SortNetwork {
  static constexpr int kItems = 1 << kLevels;
  int size = 0;
  int8_t high[64] = {}, low[64] = {};

  constexpr SortNetwork() {
    for (int run = 1; run < kItems; run *= 2) {
      for (int gap = run; gap >= 1; gap /= 2) {
        for (int first = gap % run; first + gap < kItems; first += 2 * gap) {
          for (int i = first; i < first + gap && i + gap < kItems; ++i) {
            if (i / (2 * run) != (i + gap) / (2 * run)) continue;
            high[size] = static_cast<int8_t>(i);
            low[size++] = static_cast<int8_t>(i + gap);
          }
        }
      }
    }
  }
};

// Sorts 2^kLevels items from nothing.
template <int kLevels, bool kDescending, typename Columns>
inline void sort_registers(typename Columns::Item* item) {
  constexpr SortNetwork<kLevels> kNetwork;
#pragma GCC unroll 64
  for (int i = 0; i < kNetwork.size; ++i) {
    order_rows<kDescending, Columns>(item[kNetwork.high[i]], item[kNetwork.low[i]]);
  }
}

// source.get(row): the columns before the sort.
template <int kLevels, typename Columns, typename Source>
void sort_runs(const Source& source, const Columns& columns, int64_t rows) {
  constexpr int kItems = 1 << kLevels;
  typename Columns::Item item[kItems];
  for (int64_t base = 0; base < rows; base += kItems) {
    for (int i = 0; i < kItems; ++i) item[i] = source.get(base + i);
    if ((base & kItems) == 0) {
      sort_registers<kLevels, true, Columns>(item);
    } else {
      sort_registers<kLevels, false, Columns>(item);
    }
    for (int i = 0; i < kItems; ++i) columns.put(base + i, item[i]);
  }
}

// kLevels levels of the merge of runs of run rows, on rows that lie stride apart.
template <int kLevels, typename Columns>
void merge_pass(const Columns& columns, int64_t rows, int64_t run, int64_t stride) {
  constexpr int kItems = 1 << kLevels;
  typename Columns::Item item[kItems];
  for (int64_t base = 0; base < rows; base += kItems * stride) {
    const bool descending = (base & run) == 0;
    for (int64_t at = base; at < base + stride; ++at) {
      for (int i = 0; i < kItems; ++i) item[i] = columns.get(at + i * stride);
      if (descending) {
        merge_registers<kLevels, true, Columns>(item);
      } else {
        merge_registers<kLevels, false, Columns>(item);
      }
      for (int i = 0; i < kItems; ++i) columns.put(at + i * stride, item[i]);
    }
  }
}

template <typename Columns>
void merge_levels(const Columns& columns, int64_t rows, int64_t run, int levels, int64_t stride) {
  switch (levels) {
    case 1:
      return merge_pass<1>(columns, rows, run, stride);
    case 2:
      return merge_pass<2>(columns, rows, run, stride);
    case 3:
      return merge_pass<3>(columns, rows, run, stride);
    default:
      return merge_pass<Columns::kMaxLevels>(columns, rows, run, stride);
  }
}

template <typename Columns, typename Source>
void sort_vector_columns(const Source& source, const Columns& columns, int64_t rows) {
  constexpr int kMax = Columns::kMaxLevels;
  if (rows == 1) return columns.put(0, source.get(0));
  if (rows == 2) return sort_runs<1>(source, columns, rows);
  if (rows == 4) return sort_runs<2>(source, columns, rows);
  sort_runs<kMax>(source, columns, rows);
  int levels = kMax + 1;
  for (int64_t run = int64_t{2} << kMax; run <= rows; run *= 2, ++levels) {
    // The short pass comes first, so that the last one always has full registers.
    int left = levels;
    while (left > 0) {
      const int now = left % kMax == 0 ? kMax : left % kMax;
      left -= now;
      merge_levels(columns, rows, run, now, int64_t{1} << left);
    }
  }
}

void sort_columns(float* data, int64_t rows) {
  for (int v = 0; v < kVectors; ++v) {
    const KeyColumns columns{data + v * kWidth};
    sort_vector_columns(columns, columns, rows);
  }
}

// Rows of a matrix, numbered; behind them -infinity.
struct NumberedRows {
  const float* key;
  int64_t stride, rows;

  IndexedColumns::Item get(int64_t row) const {
    const IntVec index = IntVec{} + static_cast<int32_t>(row);
    if (row < rows) return {load(key + row * stride), index};
    return {broadcast(-__builtin_inff()), index};
  }
};

void rank_columns(const float* key, int64_t stride, int64_t rows, int64_t padded, float* ranked,
                  int32_t* index) {
  for (int v = 0; v < kVectors; ++v) {
    sort_vector_columns(NumberedRows{key + v * kWidth, stride, rows},
                        IndexedColumns{ranked + v * kWidth, index + v * kWidth}, padded);
  }
}

}  // namespace
}  // namespace sparsescope
