// Problems and runs that the kernel tests share.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/rng.h"
#include "kernels/kernel_table.h"

namespace sparsescope::testing {

enum class Inputs {
  kOutliers,  // normal, with keys five times and values twenty times as large here and there
  kLarge,     // the same with q times 16: rows peak on few keys, maxima keep rising
  kEqual,     // q = 0: every score equal
  kClimbing,  // q and k in channel 0 alone: along the tokens scores rise or fall by up to 500 bits
};

struct Shape {
  int64_t batch = 1, heads = 1, head_dim = 8;
  TokenGrid grid{1, 1, 1};
  TileShape tile{4, 4, 4};
  int64_t prefix = 0, suffix = 0;
  std::vector<Partition> partitions = {};

  int64_t tokens() const { return prefix + grid.tokens() + suffix; }
  std::string name() const;
};

// One token; primes; one tile; a block less one, exact, and one more; ragged; tiles of more rows
// than a block; cells far smaller and far larger than a block; text before and behind.
std::vector<Shape> dense_shapes();

// q, k and v in one element type, kept alive with the views on them.
class Problem {
 public:
  // token_major: memory order [B, S, H, D] instead of [B, H, S, D].
  Problem(const Shape& shape, Inputs inputs, Dtype dtype = Dtype::kF32, bool token_major = false);

  const Shape& shape() const { return shape_; }
  const KeyCells& cells() const { return cells_; }
  const RowGroups& rows() const { return rows_; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim)); }
  AttentionTensor q() const { return view(q_); }
  AttentionTensor k() const { return view(k_); }
  AttentionTensor v() const { return view(v_); }
  // The value as the kernels see it, rounded to the element type.
  double value(const AttentionTensor& x, int64_t b, int64_t h, int64_t token, int64_t d) const;

 private:
  AttentionTensor view(const std::vector<uint8_t>& bytes) const;
  std::vector<uint8_t> make(Inputs inputs, uint64_t key, double factor, double outlier) const;
  float climbing(uint64_t key, int64_t i) const;  // element i of q or k; tokens after heads

  Shape shape_;
  Dtype dtype_;
  bool token_major_;
  KeyCells cells_;
  RowGroups rows_;
  std::vector<uint8_t> q_, k_, v_;
};

// What one dense call produced. Mass arrays are by token, gathered from the sink.
struct DenseResult {
  std::vector<float> out;      // [B, H, S, D]
  std::vector<float> lse;      // [B, H, S]
  std::vector<float> mass;     // [B, H, T*Hg*Wg, cells]; empty without a sink, as all below
  std::vector<float> entropy;  // [B, H, T*Hg*Wg]
  std::vector<float> row_lse;  // [B, H, T*Hg*Wg] as the sink saw it
  std::vector<float> mass_t;   // [B, H, T*Hg*Wg, T]
  std::vector<float> mass_h;   // [B, H, T*Hg*Wg, Hg]
  std::vector<float> mass_w;   // [B, H, T*Hg*Wg, Wg]
  int64_t idle_lanes = 0;      // lanes behind the rows of a block
  int64_t dirty_lanes = 0;     // those of them that held anything but zero
};

DenseResult run_dense(const Problem& problem, Impl impl, bool record, int threads = 1);

// Owns what a SparseSelection points to.
struct Lists {
  std::vector<int32_t> key_order;
  std::vector<KeyRange> ranges;
  std::vector<int32_t> rows;
  std::vector<int32_t> range_ids;
  std::vector<SparseItem> items;
  std::vector<SparseStrand> strands;

  // Appends an item to the last strand.
  void add_item(const std::vector<int32_t>& item_rows, const std::vector<int32_t>& item_ranges);
  // The same with the run of ranges of the item before.
  void add_item_beside(const std::vector<int32_t>& item_rows);
  void add_strand(int32_t batch, int32_t head, bool merges);
  SparseSelection view() const;
};

// Lists with the cells of the problem as ranges, and no strand yet.
Lists lists_over_cells(const Problem& problem);

struct SparseResult {
  std::vector<float> out;  // [B, H, S, D], kUntouched where no row was written
  std::vector<float> lse;  // [B, H, S]
};
inline constexpr float kUntouched = 12345.0f;

SparseResult run_sparse(const Problem& problem, const Lists& lists, Impl impl, int threads = 1);

// For gtest's parameter names: "cpu_avx2".
std::string impl_test_name(Impl impl);

}  // namespace sparsescope::testing
