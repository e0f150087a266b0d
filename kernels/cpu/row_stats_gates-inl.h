// Histograms and codes of VMoBA's gates, and sums of packed entries.
#pragma once

#include "kernels/cpu/row_stats_vector-inl.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

constexpr float kInfinity = __builtin_inff();

void finite_range(const float* gate, int64_t count, FiniteRange* range) {
  Vec low = broadcast(range->lo), high = broadcast(range->hi), sum{}, squares{};
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const Vec value = load(gate + i);
    const auto finite = value < kInfinity;
    const Vec kept = finite ? value : Vec{};
    low = value < low ? value : low;
    high = finite & (value > high) ? value : high;
    sum += kept;
    squares += kept * kept;
  }
  for (int lane = 0; lane < kWidth; ++lane) {
    range->lo = low[lane] < range->lo ? low[lane] : range->lo;
    range->hi = high[lane] > range->hi ? high[lane] : range->hi;
  }
  range->sum += sum_of_lanes(sum);
  range->squares += sum_of_lanes(squares);
  for (; i < count; ++i) {
    if (!(gate[i] < kInfinity)) continue;
    range->lo = gate[i] < range->lo ? gate[i] : range->lo;
    range->hi = gate[i] > range->hi ? gate[i] : range->hi;
    range->sum += gate[i];
    range->squares += gate[i] * gate[i];
  }
}

inline IntVec bins_of(Vec gate, const GateBins& bins) {
  const Vec last = broadcast(static_cast<float>(bins.num_bins - 1));
  Vec at = (gate - bins.first) * bins.scale;
  at = at > 0.0f ? at : Vec{};
  at = at < last ? at : last;
  return gate == kInfinity ? IntVec{} + bins.num_bins : __builtin_convertvector(at, IntVec);
}

void gate_histogram(const float* gate, int64_t count, const GateBins& bins, uint64_t* histogram) {
  for (int64_t first = 0; first < count; first += kLanes) {
    int32_t bin[kLanes], fixed[kLanes];
    for (int v = 0; v < kLanes; v += kWidth) {
      const Vec value = load(gate + first + v);
      store(bin + v, bins_of(value, bins));
      const Vec finite = value < bins.hi ? value : broadcast(bins.hi);
      store(fixed + v, __builtin_convertvector(finite * bins.unit, IntVec) + kGateOffset);
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      histogram[bin[lane]] += kPackedOne + static_cast<uint32_t>(fixed[lane]);
    }
  }
}

void unpack_bins(uint64_t* packed, int64_t num_bins, int64_t* sum_a, int64_t* count_a,
                 int64_t* sum_b, int64_t* count_b) {
  auto* at = reinterpret_cast<int64_t*>(packed);
  int64_t i = 0;
  const auto add = [](int64_t* to, LongVec value) { store(to, load(to) + value); };
  for (; i + kDoubleWidth <= num_bins; i += kDoubleWidth) {
    const LongVec both = load(at + i);
    const LongVec sum = both & static_cast<int64_t>(kPackedValue), count = both >> kCountShift;
    add(sum_a + i, sum);
    add(sum_b + i, sum);
    add(count_a + i, count);
    add(count_b + i, count);
    store(at + i, LongVec{});
  }
  for (; i < num_bins; ++i) {
    const auto sum = static_cast<int64_t>(packed[i] & kPackedValue);
    const auto count = static_cast<int64_t>(packed[i] >> kCountShift);
    sum_a[i] += sum;
    sum_b[i] += sum;
    count_a[i] += count;
    count_b[i] += count;
    packed[i] = 0;
  }
}

// All ones where the bin's bit is set.
inline IntVec in_set(IntVec bin, const uint32_t* set) {
  if constexpr (kWidth == 16) {  // two registers hold the words of all bins
    const auto* words = reinterpret_cast<const int32_t*>(set);
    const IntVec word = __builtin_shuffle(load(words), load(words + 16), bin >> 5);
    return ((word >> (bin & 31)) & 1) != 0;
  } else {
    IntVec found;
    for (int lane = 0; lane < kWidth; ++lane) {
      found[lane] = -static_cast<int32_t>(set[bin[lane] >> 5] >> (bin[lane] & 31) & 1);
    }
    return found;
  }
}

int64_t select_bins(const float* gate, int64_t count, const GateBins& bins, const uint32_t* set,
                    float* out) {
  const float* first = out;
  for (int64_t i = 0; i < count; i += kWidth) {
    const Vec value = load(gate + i);
    // The bin of infinity may lie behind the set.
    const IntVec finite = value < kInfinity;
    out += append(out, value, in_set(bins_of(value, bins) & finite, set) & finite);
  }
  return out - first;
}

// Six steps down the tree of one row for a vector of gates: where wide enough, with registers as
// tables. Levels 0 to 3 lie in the first vector of limits, the next levels in one and two more.
inline IntVec search_limits(Vec gate, const float* limits) {
  IntVec node = IntVec{} + 1;
  if constexpr (kWidth == 16) {
    const Vec top = load(limits), middle = load(limits + 16);
    const Vec low = load(limits + 32), high = load(limits + 48);
#pragma GCC unroll 4
    for (int level = 0; level < 4; ++level) {
      node = node + node - (IntVec)(gate >= __builtin_shuffle(top, node));
    }
    node = node + node - (IntVec)(gate >= __builtin_shuffle(middle, node));
    node = node + node - (IntVec)(gate >= __builtin_shuffle(low, high, node));
  } else {
    for (int level = 0; level < 6; ++level) {
      Vec limit;
      for (int lane = 0; lane < kWidth; ++lane) limit[lane] = limits[node[lane]];
      node = node + node - (IntVec)(gate >= limit);
    }
  }
  return node - 64;
}

void pool_codes(const float* gate, int64_t stride, int64_t rows, const float* limits,
                uint8_t* code) {
  constexpr int64_t kAhead = 16;  // rows lie far apart: the processor does not foresee them
  for (int64_t r = 0; r < rows; ++r) {
    for (int v = 0; v < kLanes; v += kWidth) {
      __builtin_prefetch(gate + (r + kAhead) * stride + v);
      const IntVec found = search_limits(load(gate + r * stride + v), limits + r * kPoolCodes);
      *reinterpret_cast<ByteVecAt*>(code + r * kLanes + v) =
          __builtin_convertvector(found, ByteVec);
    }
  }
}

void pack_masses(const float* mass, int64_t rows, uint64_t* out) {
  for (int64_t i = 0; i < rows * kLanes; i += kDoubleWidth) {
    const DoubleVec value = load_as_double(mass + i) * static_cast<double>(kMassUnits) + 0.5;
    store(reinterpret_cast<int64_t*>(out) + i,
          __builtin_convertvector(value, LongVec) + static_cast<int64_t>(kPackedOne));
  }
}

// Several blocks by turns: neighbours often have the same code, and an addition would wait for the
// one before.
template <int kRows>
void code_sums_of(const uint8_t* code, const uint64_t* packed, int64_t lanes, uint64_t* sums) {
  for (int64_t lane = 0; lane < lanes; ++lane) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      sums[r * kPoolCodes + code[r * kLanes + lane]] += packed[r * kLanes + lane];
    }
  }
}

void code_sums(const uint8_t* code, const uint64_t* packed, int64_t rows, int64_t lanes,
               uint64_t* sums) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    code_sums_of<4>(code + r * kLanes, packed + r * kLanes, lanes, sums + r * kPoolCodes);
  }
  for (; r < rows; ++r) {
    code_sums_of<1>(code + r * kLanes, packed + r * kLanes, lanes, sums + r * kPoolCodes);
  }
}

}  // namespace
}  // namespace sparsescope
