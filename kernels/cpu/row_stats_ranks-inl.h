// The entries of one row and partition in the order of their gates, and what VMoBA's rules within a
// query keep of them.
//
// An entry is one fp64 number: its fp32 gate is exact in the upper bits, and the 29 bits below
// carry the mass and the mark of the last block along, so that the sort moves a single vector.
#pragma once

#include "kernels/cpu/row_stats_sort-inl.h"
#include "kernels/cpu/row_stats_vector-inl.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

constexpr int64_t kPayload = (int64_t{1} << 29) - 1;
constexpr double kOwnKey = 0x1p1000;  // of the own block: above all gates, and no infinity
// A sum of entries: mass below, then the entries of the last block, then all entries.
constexpr int kLastShift = 36, kEntryShift = 44;
constexpr int64_t kEntryOne = int64_t{1} << kEntryShift;
constexpr int64_t kEntryMass = (int64_t{1} << kLastShift) - 1;
constexpr int kTauCodes = 32;

inline DoubleVec gate_of(LongVec entry) { return (DoubleVec)(entry & ~kPayload); }

// The rows before the sort.
struct EntryRows {
  const float* gate;
  int64_t stride, rows;
  const uint64_t* packed;

  DoubleColumns::Item get(int64_t row) const {
    if (row >= rows) return {DoubleVec{} - kOwnKey};
    const DoubleVec value = load_as_double(gate + row * stride);
    const DoubleVec key = value < __builtin_inf() ? value : DoubleVec{} + kOwnKey;
    const LongVec mass =
        load(reinterpret_cast<const int64_t*>(packed) + row * kLanes) & (kPayload >> 1);
    return {(DoubleVec)((LongVec)key | (mass << 1) | (row + 1 == rows ? 1 : 0))};
  }
};

// Puts the entries of equal gates in column i of the vector at v into the order of their rows.
inline void order_equal_gates(const RankedParams& p, int64_t v, int64_t i) {
  auto* sorted = reinterpret_cast<int64_t*>(p.sorted) + i;
  const int64_t lane = v + i;
  const auto key_at = [&](int64_t r) { return sorted[r * kDoubleWidth] & ~kPayload; };
  const auto value_of = [](int64_t key) {
    double value;
    __builtin_memcpy(&value, &key, sizeof value);
    return value;
  };
  for (int64_t first = 1; first + 1 < p.rows;) {
    const double gate = value_of(key_at(first));
    int64_t end = first + 1;
    while (end < p.rows && value_of(key_at(end)) == gate) ++end;
    if (end - first > 1) {
      int64_t at = first;
      for (int64_t row = 0; row < p.rows && at < end; ++row) {
        if (static_cast<double>(p.gate[row * p.stride + lane]) != gate) continue;
        const auto mass = static_cast<int64_t>(p.packed[row * kLanes + lane]) & (kPayload >> 1);
        const int64_t key = key_at(at);
        sorted[at++ * kDoubleWidth] = key | (mass << 1) | (row + 1 == p.rows ? 1 : 0);
      }
    }
    first = end;
  }
}

// One vector of columns: sorts it, and settles ties by row.
inline void sort_entries(const RankedParams& p, int64_t v) {
  sort_vector_columns(EntryRows{p.gate + v, p.stride, p.rows, p.packed + v},
                      DoubleColumns{p.sorted}, p.padded);
  const auto* sorted = reinterpret_cast<const int64_t*>(p.sorted);
  LongVec tied{};
  DoubleVec above = gate_of(load(sorted));
  for (int64_t r = 1; r < p.rows; ++r) {
    const DoubleVec gate = gate_of(load(sorted + r * kDoubleWidth));
    tied |= (LongVec)(gate == above);
    above = gate;
  }
  int64_t any[kDoubleWidth];
  store(any, tied);
  for (int64_t i = 0; i < kDoubleWidth && v + i < p.lanes; ++i) {
    if (any[i] != 0) order_equal_gates(p, v, i);
  }
}

// The threshold rule's arithmetic for one vector of sorted columns. In fp64: the published rule
// decides by differences of 1e-6 where gates tie.
struct TauRule {
  DoubleVec lo, scale, before, last;

  TauRule(const RankedParams& p, int64_t v) {
    constexpr double kSlack = 1e-6;
    const auto* sorted = reinterpret_cast<const int64_t*>(p.sorted);
    const DoubleVec own = load_as_double(p.own + v);
    DoubleVec hi = own, total = own;
    lo = own;
    for (int64_t r = 1; r < p.rows; ++r) total += gate_of(load(sorted + r * kDoubleWidth));
    if (p.rows > 1) {
      const DoubleVec best = gate_of(load(sorted + kDoubleWidth));
      const DoubleVec worst = gate_of(load(sorted + (p.rows - 1) * kDoubleWidth));
      hi = best > hi ? best : hi;
      lo = worst < lo ? worst : lo;
    }
    const DoubleVec range = hi - lo;
    const DoubleVec inverse = 1.0 / (range <= 1e-6 ? DoubleVec{} + 1.0 : range);
    const auto steps = static_cast<double>(p.num_taus + 1);
    const auto blocks = static_cast<double>(p.rows);
    scale = steps / ((total - blocks * lo) * inverse + kSlack) * inverse;
    before = own - lo;
    last = DoubleVec{} + static_cast<double>(p.num_taus);
  }
  // The first tau that keeps the entry whose predecessors weigh before.
  HalfIntVec code() const {
    DoubleVec at = scale * before;
    at = at > 0.0 ? at : DoubleVec{};
    at = at < last ? at : last;
    return __builtin_convertvector(at, HalfIntVec);
  }
};

// Sums of several columns side by side. Every column of a vector has a table of its own: neighbours
// often have the same code, and an addition would wait for the one before.
struct EntrySums {
  int64_t by_code[kTauCodes][kDoubleWidth] = {};
  int64_t* by_rank;  // [rows, kDoubleWidth]

  // One vector of columns, of which count hold rows: kDoubleWidth where kFull.
  template <bool kFull>
  void add(const RankedParams& p, int64_t v, int64_t count) {
    auto* sorted = reinterpret_cast<int64_t*>(p.sorted);
    LongVec active{};
    for (int i = 0; i < kDoubleWidth; ++i) active[i] = i < count ? -1 : 0;
    TauRule rule(p, v);
    for (int64_t r = 0; r < p.rows; ++r) {
      const LongVec entry = load(sorted + r * kDoubleWidth);
      LongVec value = ((entry & kPayload) >> 1) | ((entry & 1) << kLastShift) | kEntryOne;
      if (!kFull) value &= active;
      store(sorted + r * kDoubleWidth, value);
      int64_t* rank = by_rank + r * kDoubleWidth;
      store(rank, load(rank) + value);
      *reinterpret_cast<HalfIntVecAt*>(p.code + r * kDoubleWidth) =
          r < 2 ? HalfIntVec{} : rule.code();
      if (r > 0) rule.before += gate_of(entry) - rule.lo;
    }
    for (int64_t i = 0; i < p.rows * kDoubleWidth; i += kDoubleWidth) {
#pragma GCC unroll 8
      for (int j = 0; j < kDoubleWidth; ++j) by_code[p.code[i + j]][j] += sorted[i + j];
    }
  }
};

// sums [kDoubleWidth]
inline void add_unpacked(const int64_t* sums, RankedSum* to) {
  int64_t sum = 0;
  for (int i = 0; i < kDoubleWidth; ++i) sum += sums[i];
  const auto packed = static_cast<uint64_t>(sum);
  to->mass += packed & static_cast<uint64_t>(kEntryMass);
  to->last += packed >> kLastShift & 0xff;
  to->entries += packed >> kEntryShift;
}

void rank_entries(const RankedParams& p) {
  EntrySums sums;
  sums.by_rank = reinterpret_cast<int64_t*>(p.rank_sums);
  for (int64_t i = 0; i < p.rows * kDoubleWidth; i += kDoubleWidth)
    store(sums.by_rank + i, LongVec{});
  for (int64_t v = 0; v < p.lanes; v += kDoubleWidth) {
    sort_entries(p, v);
    if (v + kDoubleWidth <= p.lanes) {
      sums.add<true>(p, v, kDoubleWidth);
    } else {
      sums.add<false>(p, v, p.lanes - v);
    }
  }
  for (int64_t r = 0; r < p.rows; ++r) add_unpacked(sums.by_rank + r * kDoubleWidth, &p.by_rank[r]);
  for (int i = 0; i <= p.num_taus; ++i) add_unpacked(sums.by_code[i], &p.by_code[i]);
}

}  // namespace
}  // namespace sparsescope
