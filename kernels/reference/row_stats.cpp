// Naive loops in fp64, a lane at a time: the definition of correct.
#include "kernels/row_stats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/dtype.h"
#include "core/row_groups.h"
#include "kernels/cpu/row_stats_tables.h"

namespace sparsescope::reference {
namespace {

size_t at(int64_t row, int64_t lane) { return static_cast<size_t>(row * kRowLanes + lane); }

void combine(const float* mass, const int32_t* target, int64_t num_cells, int64_t num_targets,
             float* out) {
  std::vector<double> sums(static_cast<size_t>(num_targets) * kRowLanes);
  for (int64_t cell = 0; cell < num_cells; ++cell) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      sums[at(target[cell], lane)] += mass[at(cell, lane)];
    }
  }
  std::copy(sums.begin(), sums.end(), out);
}

void fold_gates(const float* gate, const int32_t* target, int64_t rows, const float* weight,
                int64_t num_targets, int64_t stride, float* out) {
  for (int64_t t = 0; t < num_targets; ++t) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      double sum = 0.0;
      for (int64_t r = 0; r < rows; ++r) sum += target[r] == t ? gate[r * stride + lane] : 0.0f;
      out[t * stride + lane] = static_cast<float>(sum * weight[t]);
    }
  }
}

void weighted_sums(const float* data, int64_t rows, const float* weight, double* out) {
  for (int64_t r = 0; r < rows; ++r) {
    out[r] = 0.0;
    for (int lane = 0; lane < kRowLanes; ++lane) {
      out[r] += static_cast<double>(weight[lane]) * data[at(r, lane)];
    }
  }
}

void sort_columns(float* data, int64_t rows) {
  std::vector<float> column(rows);
  for (int lane = 0; lane < kRowLanes; ++lane) {
    for (int64_t r = 0; r < rows; ++r) column[r] = data[at(r, lane)];
    std::sort(column.begin(), column.end(), std::greater<float>());
    for (int64_t r = 0; r < rows; ++r) data[at(r, lane)] = column[r];
  }
}

void rank_columns(const float* key, int64_t stride, int64_t rows, int64_t padded, float* ranked,
                  int32_t* index) {
  std::vector<std::pair<float, int32_t>> column(padded);
  for (int lane = 0; lane < kRowLanes; ++lane) {
    for (int64_t r = 0; r < padded; ++r) {
      const float value =
          r < rows ? key[r * stride + lane] : -std::numeric_limits<float>::infinity();
      column[r] = {value, static_cast<int32_t>(r)};
    }
    std::sort(column.begin(), column.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    for (int64_t r = 0; r < padded; ++r) {
      ranked[at(r, lane)] = column[r].first;
      index[at(r, lane)] = column[r].second;
    }
  }
}

void prefix_sums(const float* data, const int32_t* counts, int64_t num_counts, float* out) {
  for (int64_t i = 0; i < num_counts; ++i) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      double sum = 0.0;
      for (int64_t r = 0; r < counts[i]; ++r) sum += data[at(r, lane)];
      out[at(i, lane)] = static_cast<float>(sum);
    }
  }
}

void extract_lanes(const float* data, int64_t rows, const uint8_t* lanes, int64_t count,
                   float* out) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t r = 0; r < rows; ++r) out[i * rows + r] = data[at(r, lanes[i])];
  }
}

void gather(const float* data, const int32_t* index, int64_t rows, float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      out[at(r, lane)] = data[at(index[at(r, lane)], lane)];
    }
  }
}

void absolute_difference(const float* data, int64_t rows, const float* mean, int64_t first_lane,
                         int64_t num_lanes, float* out) {
  for (int64_t lane = first_lane; lane < first_lane + num_lanes; ++lane) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      sum += std::abs(static_cast<double>(data[at(r, lane)]) - mean[r]);
    }
    out[lane] = static_cast<float>(sum);
  }
}

void widen_bf16(const uint16_t* bits, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = bf16_to_float(bits[i]);
}

void add_rows(const float* const* rows, int64_t num_rows, int64_t depth, double* sums) {
  for (int64_t i = 0; i < num_rows; ++i) {
    for (int64_t d = 0; d < depth; ++d) sums[d] += rows[i][d];
  }
}

void transpose(const float* const* rows, int64_t num_rows, int64_t depth, float* columns) {
  for (int64_t d = 0; d < depth; ++d) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      columns[at(d, lane)] = lane < num_rows ? rows[lane][d] : 0.0f;
    }
  }
}

void products(const float* rows_by_d, int64_t rows, int64_t depth, const float* columns, float* out,
              int64_t out_stride) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      double sum = 0.0;
      for (int64_t d = 0; d < depth; ++d) {
        sum += static_cast<double>(rows_by_d[r * depth + d]) * columns[at(d, lane)];
      }
      out[r * out_stride + lane] = static_cast<float>(sum);
    }
  }
}

void moments(const float* data, int64_t rows, double* mean, double* m2, double* m3, double* m4) {
  const auto count = static_cast<double>(rows);
  for (int lane = 0; lane < kRowLanes; ++lane) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; ++r) sum += data[at(r, lane)];
    mean[lane] = sum / count;
    m2[lane] = m3[lane] = m4[lane] = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      const double x = data[at(r, lane)] - mean[lane];
      m2[lane] += x * x / count;
      m3[lane] += x * x * x / count;
      m4[lane] += x * x * x * x / count;
    }
  }
}

void lane_threshold_sums(const float* key, const float* value, const float* size, int64_t rows,
                         const float* threshold, float* value_sum, float* size_sum) {
  for (int lane = 0; lane < kRowLanes; ++lane) {
    double values = 0.0, sizes = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      if (key[at(r, lane)] < threshold[lane]) continue;
      values += value[at(r, lane)];
      sizes += size[r];
    }
    value_sum[lane] = static_cast<float>(values);
    size_sum[lane] = static_cast<float>(sizes);
  }
}

void finite_range(const float* gate, int64_t count, FiniteRange* range) {
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(gate[i])) continue;
    range->lo = std::min(range->lo, gate[i]);
    range->hi = std::max(range->hi, gate[i]);
    range->sum += gate[i];
    range->squares += static_cast<double>(gate[i]) * gate[i];
  }
}

int32_t bin_of(float gate, const GateBins& bins) {
  if (std::isinf(gate)) return bins.num_bins;
  const float found = (gate - bins.first) * bins.scale;
  return static_cast<int32_t>(std::clamp(found, 0.0f, static_cast<float>(bins.num_bins - 1)));
}

void gate_histogram(const float* gate, int64_t count, const GateBins& bins, uint64_t* histogram) {
  for (int64_t i = 0; i < count; ++i) {
    const float fixed = std::min(gate[i], bins.hi) * bins.unit;
    histogram[bin_of(gate[i], bins)] +=
        kPackedOne + static_cast<uint64_t>(static_cast<int64_t>(fixed) + kGateOffset);
  }
}

void unpack_bins(uint64_t* packed, int64_t num_bins, int64_t* sum_a, int64_t* count_a,
                 int64_t* sum_b, int64_t* count_b) {
  for (int64_t i = 0; i < num_bins; ++i) {
    for (int64_t* sum : {sum_a, sum_b}) sum[i] += static_cast<int64_t>(packed[i] & kPackedValue);
    for (int64_t* n : {count_a, count_b}) n[i] += static_cast<int64_t>(packed[i] >> kCountShift);
    packed[i] = 0;
  }
}

int64_t select_bins(const float* gate, int64_t count, const GateBins& bins, const uint32_t* set,
                    float* out) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::isinf(gate[i])) continue;
    const int32_t bin = bin_of(gate[i], bins);
    if ((set[bin / 32] >> (bin % 32) & 1) != 0) out[found++] = gate[i];
  }
  return found;
}

void pool_codes(const float* gate, int64_t stride, int64_t rows, const float* limits,
                uint8_t* code) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int lane = 0; lane < kRowLanes; ++lane) {
      uint8_t kept = 0;
      for (int64_t i = 1; i < kPoolCodes; ++i) {
        kept += gate[r * stride + lane] >= limits[r * kPoolCodes + i] ? 1 : 0;
      }
      code[at(r, lane)] = kept;
    }
  }
}

// Blocks by gate, the own one (+infinity) first; equal gates by block.
std::vector<int64_t> ranked_blocks(const RankedParams& p, int lane) {
  std::vector<int64_t> blocks(p.rows);
  std::iota(blocks.begin(), blocks.end(), 0);
  std::stable_sort(blocks.begin(), blocks.end(), [&](int64_t a, int64_t b) {
    return p.gate[a * p.stride + lane] > p.gate[b * p.stride + lane];
  });
  return blocks;
}

void rank_entries(const RankedParams& p) {
  for (int lane = 0; lane < p.lanes; ++lane) {
    const std::vector<int64_t> blocks = ranked_blocks(p, lane);
    const auto gate_at = [&](int64_t rank) -> double {
      return rank == 0 ? p.own[lane] : p.gate[blocks[rank] * p.stride + lane];
    };
    double lo = gate_at(0), hi = lo;
    for (int64_t r = 1; r < p.rows; ++r) {
      lo = std::min(lo, gate_at(r));
      hi = std::max(hi, gate_at(r));
    }
    const double width = hi - lo <= 1e-6 ? 1.0 : hi - lo;
    const auto weight_at = [&](int64_t rank) { return (gate_at(rank) - lo) / width; };
    double total = 0.0, before = 0.0;
    for (int64_t r = 0; r < p.rows; ++r) total += weight_at(r);
    for (int64_t r = 0; r < p.rows; ++r) {
      const auto kept_by = [&](int32_t tau) {
        const double wanted = (tau + 1.0) / (p.num_taus + 1.0);
        return r < 2 || before < std::max(0.0, wanted * (total + 1e-6) - weight_at(0));
      };
      int32_t tau = 0;
      while (tau < p.num_taus && !kept_by(tau)) ++tau;
      for (RankedSum* sum : {&p.by_rank[r], &p.by_code[tau]}) {
        sum->mass += p.packed[at(blocks[r], lane)] & kPackedValue;
        sum->last += blocks[r] + 1 == p.rows ? 1 : 0;
        ++sum->entries;
      }
      if (r > 0) before += weight_at(r);
    }
  }
}

void pack_masses(const float* mass, int64_t rows, uint64_t* out) {
  for (int64_t i = 0; i < rows * kRowLanes; ++i) {
    const double value = static_cast<double>(mass[i]) * kMassUnits;
    out[i] = kPackedOne + static_cast<uint64_t>(value + 0.5);
  }
}

void code_sums(const uint8_t* code, const uint64_t* packed, int64_t rows, int64_t lanes,
               uint64_t* sums) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      sums[r * kPoolCodes + code[at(r, lane)]] += packed[at(r, lane)];
    }
  }
}

int64_t steps_of(float gate, float lo, float scale) {
  return static_cast<int32_t>((gate - lo) * scale);
}

void weight_sums(const float* gate, int64_t rows, const float* lo, const float* scale,
                 int64_t* sums) {
  for (int lane = 0; lane < kRowLanes; ++lane) {
    sums[lane] = 0;
    for (int64_t r = 0; r < rows; ++r)
      sums[lane] += steps_of(gate[at(r, lane)], lo[lane], scale[lane]);
  }
}

void reach_counts(const float* gate, int64_t rows, const float* lo, const float* scale,
                  const int64_t* target, int64_t* counts) {
  for (int lane = 0; lane < kRowLanes; ++lane) {
    counts[lane] = 0;
    int64_t before = 0;
    for (int64_t r = 0; r < rows; ++r) {
      counts[lane] += before < target[lane] ? 1 : 0;
      before += steps_of(gate[at(r, lane)], lo[lane], scale[lane]);
    }
  }
}

void compare_bits(const float* gate, int64_t rows, const float* cut, uint64_t* above,
                  uint64_t* equal) {
  for (int64_t r = 0; r < rows; ++r) {
    above[r] = equal[r] = 0;
    for (int lane = 0; lane < kRowLanes; ++lane) {
      above[r] |= uint64_t{gate[at(r, lane)] > cut[lane]} << lane;
      equal[r] |= uint64_t{gate[at(r, lane)] == cut[lane]} << lane;
    }
  }
}

void digit_sums(const float* gate, int64_t count, const GateDigit& digit, int64_t* sums) {
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<uint32_t>(gate[i] == 0.0f ? 0.0f : gate[i]);
    const uint64_t key = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;  // 64 bits: shifts by 32
    if (key >> (digit.shift + digit.bits) != digit.prefix) continue;
    const uint64_t place = (key >> digit.shift) & ((uint64_t{1} << digit.bits) - 1);
    sums[place] += steps_of(gate[i], digit.lo, digit.scale) + digit.least;
  }
}

}  // namespace

const RowStatsKernels& row_stats() {
  static constexpr RowStatsKernels kTable{.combine = combine,
                                          .fold_gates = fold_gates,
                                          .weighted_sums = weighted_sums,
                                          .sort_columns = sort_columns,
                                          .rank_columns = rank_columns,
                                          .prefix_sums = prefix_sums,
                                          .extract_lanes = extract_lanes,
                                          .gather = gather,
                                          .absolute_difference = absolute_difference,
                                          .widen_bf16 = widen_bf16,
                                          .add_rows = add_rows,
                                          .transpose = transpose,
                                          .products = products,
                                          .moments = moments,
                                          .lane_threshold_sums = lane_threshold_sums,
                                          .finite_range = finite_range,
                                          .gate_histogram = gate_histogram,
                                          .unpack_bins = unpack_bins,
                                          .select_bins = select_bins,
                                          .pool_codes = pool_codes,
                                          .rank_entries = rank_entries,
                                          .pack_masses = pack_masses,
                                          .code_sums = code_sums,
                                          .weight_sums = weight_sums,
                                          .reach_counts = reach_counts,
                                          .compare_bits = compare_bits,
                                          .digit_sums = digit_sums};
  return kTable;
}

}  // namespace sparsescope::reference
