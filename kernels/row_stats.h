// Vector functions on blocks of 64 columns: the arithmetic of the statistics.
//
// A block is [rows][64] fp32, a lane being a query row (or a query tile) and a row a key tile, a
// block of a partition, a coordinate or a channel. Everything runs vertically, so that no function
// needs a horizontal step but the sums over lanes. Pointers need no alignment; nothing is
// validated.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/impl.h"

namespace sparsescope {

// Sums of entries pack a count and a fixed-point value into one integer: one addition serves both,
// and integer sums depend neither on their order nor on the threads.
inline constexpr int kCountShift = 48;  // count above (15 bits), value below
inline constexpr uint64_t kPackedOne = uint64_t{1} << kCountShift;
inline constexpr uint64_t kPackedValue = kPackedOne - 1;
inline constexpr float kMassUnits = 1 << 27;  // packed masses count 2^-27
inline constexpr int64_t kPoolCodes = 64;     // codes of an entry, see code_sums
inline constexpr int32_t kMaxGateBins = 1024;
inline constexpr int64_t kMaxRankColumns = 16;    // columns ranked at once, at most
inline constexpr int64_t kMaxRankedRows = 16383;  // of 64 entries each
inline constexpr int32_t kGateOffset = 1 << 30;   // packed gates are value * unit + offset

struct FiniteRange {
  float lo = std::numeric_limits<float>::infinity();
  float hi = -std::numeric_limits<float>::infinity();
  double sum = 0.0, squares = 0.0;
};

// Maps gates to bins, monotonically; the end bins take what lies outside the bins' range, and
// +infinity has the bin num_bins of its own.
struct GateBins {
  float first = 0.0f;    // where the bins begin
  float scale = 0.0f;    // bins per unit of the gate
  float hi = 0.0f;       // the largest finite gate
  float unit = 1.0f;     // fixed-point steps per unit of the gate, |gate| * unit < 2^30
  int32_t num_bins = 0;  // at most kMaxGateBins
};

// Sums over entries of one partition.
struct RankedSum {
  uint64_t mass = 0;  // mass units
  uint64_t last = 0;  // entries of the partition's last block, which may be smaller
  uint64_t entries = 0;
};

// One partition's entries of a row block: see RowStatsKernels::rank_entries.
struct RankedParams {
  int64_t rows = 0,
          padded = 0;  // blocks, at most kMaxRankedRows, and the power of two that is not below
  const float* gate = nullptr;  // [rows, stride], the own block +infinity
  int64_t stride = 0;
  const float* own = nullptr;        // [64] gate of the own block
  const uint64_t* packed = nullptr;  // [rows, 64] as of pack_masses, masses of at most 1
  int64_t lanes = 0;
  int32_t num_taus = 0;           // tau i is (i + 1) / (num_taus + 1), at most 31
  double* sorted = nullptr;       // [padded, kMaxRankColumns] scratch
  int32_t* code = nullptr;        // [rows, kMaxRankColumns] scratch
  uint64_t* rank_sums = nullptr;  // [rows, kMaxRankColumns] scratch
  RankedSum* by_rank = nullptr;   // [rows] added to
  RankedSum* by_code = nullptr;   // [num_taus + 1] added to
};

// A digit of the search for a cut among gates, in the order of their bits as integers.
inline constexpr int64_t kDigitPlaces = 2048;
struct GateDigit {
  int shift = 0, bits = 0;  // at most kDigitPlaces values; shift + bits == 32: the first digit
  uint32_t prefix = 0;      // the digits before
  // An entry weighs (gate - lo) * scale, cut to an integer, and least.
  float lo = 0.0f, scale = 0.0f;
  int32_t least = 0;
};

struct RowStatsKernels {
  // out[t, :] = sum of mass[c, :] over the cells c with target[c] == t
  void (*combine)(const float* mass, const int32_t* target, int64_t num_cells, int64_t num_targets,
                  float* out);

  // out[t, :] = weight[t] * sum of gate[r, :] over the rows r with target[r] == t; both [rows,
  // stride]
  void (*fold_gates)(const float* gate, const int32_t* target, int64_t rows, const float* weight,
                     int64_t num_targets, int64_t stride, float* out);

  // out[r] = sum over lanes of weight[lane] * data[r, lane]
  void (*weighted_sums)(const float* data, int64_t rows, const float* weight, double* out);

  // Every column descending. rows is a power of two, at least 16.
  void (*sort_columns)(float* data, int64_t rows);
  // Every column of key [rows, stride] by value descending, then row ascending, and the rows that
  // the values stood in. Both results hold padded rows, a power of two; behind the rows stand
  // -infinity and the numbers from rows on.
  void (*rank_columns)(const float* key, int64_t stride, int64_t rows, int64_t padded,
                       float* ranked, int32_t* index);

  // out[i, :] = sum of data[r, :] over r < counts[i]; counts ascend.
  void (*prefix_sums)(const float* data, const int32_t* counts, int64_t num_counts, float* out);

  // out[i, r] = data[r, lanes[i]]; out [count, rows]
  void (*extract_lanes)(const float* data, int64_t rows, const uint8_t* lanes, int64_t count,
                        float* out);

  // out[r, lane] = data[index[r, lane], lane]
  void (*gather)(const float* data, const int32_t* index, int64_t rows, float* out);

  // out[lane] = sum over rows of |data[r, lane] - mean[r]|, for first_lane <= lane < first_lane +
  // num_lanes; other lanes of out are unspecified.
  void (*absolute_difference)(const float* data, int64_t rows, const float* mean,
                              int64_t first_lane, int64_t num_lanes, float* out);

  // out[i] = the bf16 number of bits[i]
  void (*widen_bf16)(const uint16_t* bits, int64_t count, float* out);
  // sums[d] += sum over the rows of rows[i][d]
  void (*add_rows)(const float* const* rows, int64_t num_rows, int64_t depth, double* sums);

  // columns[d, lane] = rows[lane][d]; lanes without a row hold zero.
  void (*transpose)(const float* const* rows, int64_t num_rows, int64_t depth, float* columns);

  // out[r * out_stride + lane] = sum over d of rows_by_d[r, d] * columns[d, lane]
  void (*products)(const float* rows_by_d, int64_t rows, int64_t depth, const float* columns,
                   float* out, int64_t out_stride);

  // Population mean and central moments 2, 3 and 4 of each column: [64] each.
  void (*moments)(const float* data, int64_t rows, double* mean, double* m2, double* m3,
                  double* m4);

  // value_sum[lane] = sum of value[r, lane], size_sum[lane] = sum of size[r], over the rows with
  // key[r, lane] >= threshold[lane].
  void (*lane_threshold_sums)(const float* key, const float* value, const float* size, int64_t rows,
                              const float* threshold, float* value_sum, float* size_sum);

  // Of the values below infinity: extends the range, adds to their sum and that of their squares
  // (rounded to fp32 now and then: the two only place bins).
  void (*finite_range)(const float* gate, int64_t count, FiniteRange* range);
  // histogram[bin] += kPackedOne + packed gate; [num_bins + 1]. count is a multiple of 64.
  void (*gate_histogram)(const float* gate, int64_t count, const GateBins& bins,
                         uint64_t* histogram);
  // Adds the packed bins to both pairs of sums and counts, and clears them.
  void (*unpack_bins)(uint64_t* packed, int64_t num_bins, int64_t* sum_a, int64_t* count_a,
                      int64_t* sum_b, int64_t* count_b);
  // Appends the gates whose bin is in set, a bit a bin, to out, and returns their number; some
  // floats behind them are overwritten: out has room for count + 16. count is a multiple of 64.
  int64_t (*select_bins)(const float* gate, int64_t count, const GateBins& bins,
                         const uint32_t* set, float* out);
  // code[r, lane] = how many of the limits of row r are not above gate[r, lane]. limits [rows, 64]:
  // 63 as a search tree, the children of node i at 2*i and 2*i + 1, the root at 1; code [rows, 64].
  void (*pool_codes)(const float* gate, int64_t stride, int64_t rows, const float* limits,
                     uint8_t* code);

  // Per lane, the entries by gate descending, then row ascending: adds each to the sums of its rank
  // and of its code, the first tau that keeps it, num_taus where none does. The own block and the
  // best other one are always kept, others while what precedes them falls short of tau.
  void (*rank_entries)(const RankedParams& params);
  // out[r, lane] = kPackedOne + mass[r, lane] in mass units
  void (*pack_masses)(const float* mass, int64_t rows, uint64_t* out);
  // sums[r, code[r, lane]] += packed[r, lane] for lane < lanes; sums [rows, kPoolCodes].
  void (*code_sums)(const uint8_t* code, const uint64_t* packed, int64_t rows, int64_t lanes,
                    uint64_t* sums);

  // With the weight of an entry = (gate - lo) * scale of its lane, cut to an integer.
  // sums[lane] = sum of the weights of a column
  void (*weight_sums)(const float* gate, int64_t rows, const float* lo, const float* scale,
                      int64_t* sums);
  // counts[lane] = number of rows whose preceding rows weigh less than target[lane]
  void (*reach_counts)(const float* gate, int64_t rows, const float* lo, const float* scale,
                       const int64_t* target, int64_t* counts);
  // Bit lane of above[r]: gate[r, lane] > cut[lane]; of equal[r]: the two are equal.
  void (*compare_bits)(const float* gate, int64_t rows, const float* cut, uint64_t* above,
                       uint64_t* equal);
  // sums[digit of the gate] += weight, for the gates that begin with the prefix; the first digit
  // spreads over both tables of sums [2, kDigitPlaces]. count is a multiple of 64.
  void (*digit_sums)(const float* gate, int64_t count, const GateDigit& digit, int64_t* sums);
};

const RowStatsKernels& row_stats_kernels(Impl impl);

}  // namespace sparsescope
