#include "kernels/attention_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

namespace sparsescope::testing {

std::string Shape::name() const {
  return fmt::format("B{} H{} D{} grid {} tile {} text {}+{}", batch, heads, head_dim,
                     to_string(grid), to_string(tile), prefix, suffix);
}

Problem::Problem(const Shape& shape, Inputs inputs, Dtype dtype, bool token_major)
    : shape_(shape),
      dtype_(dtype),
      token_major_(token_major),
      cells_(make_key_cells(TileGrid(shape.grid, shape.tile), shape.partitions, shape.prefix,
                            shape.suffix)),
      rows_(make_row_groups(TileGrid(shape.grid, shape.tile), shape.prefix, shape.suffix)),
      q_(make(inputs, 1,
              inputs == Inputs::kEqual   ? 0
              : inputs == Inputs::kLarge ? 16
                                         : 1,
              1)),
      k_(make(inputs, 2, 1, 5)),
      v_(make(inputs, 3, 1, 20)) {}

std::vector<uint8_t> Problem::make(Inputs inputs, uint64_t key, double factor,
                                   double outlier) const {
  const int64_t rows = shape_.batch * shape_.heads * shape_.tokens();
  const int64_t count = rows * shape_.head_dim;
  std::vector<uint8_t> bytes(count * dtype_bits(dtype_) / 8);
  for (int64_t i = 0; i < count; ++i) {
    const bool far = uniform(key + 100, i / shape_.head_dim) < 0.05;
    auto value = static_cast<float>(normal(key, i) * factor * (far ? outlier : 1));
    if (inputs == Inputs::kClimbing && key < 3) value = climbing(key, i);
    if (dtype_ == Dtype::kF32) {
      std::memcpy(bytes.data() + i * 4, &value, 4);
    } else {
      const uint16_t bits = dtype_ == Dtype::kBF16 ? float_to_bf16(value) : float_to_f16(value);
      std::memcpy(bytes.data() + i * 2, &bits, 2);
    }
  }
  return bytes;
}

// Products of 350 sqrt(D) = 500 ln(2) sqrt(D) at the end, for q (key 1) of a weight up to 32.
float Problem::climbing(uint64_t key, int64_t i) const {
  if (i % shape_.head_dim != 0) return 0.0f;
  const int64_t row = i / shape_.head_dim, token = row % shape_.tokens();
  if (key == 1) return static_cast<float>(64.0 * uniform(key, row) - 32.0);
  return static_cast<float>(350.0 / 32.0 * std::sqrt(static_cast<double>(shape_.head_dim)) *
                            static_cast<double>(token) / static_cast<double>(shape_.tokens()));
}

AttentionTensor Problem::view(const std::vector<uint8_t>& bytes) const {
  AttentionTensor x = contiguous_attention_tensor(bytes.data(), dtype_, shape_.batch, shape_.heads,
                                                  shape_.tokens(), shape_.head_dim);
  if (token_major_) {
    x.stride_head = shape_.head_dim;
    x.stride_token = shape_.heads * shape_.head_dim;
  }
  return x;
}

double Problem::value(const AttentionTensor& x, int64_t b, int64_t h, int64_t token,
                      int64_t d) const {
  const int64_t at = b * x.stride_batch + h * x.stride_head + token * x.stride_token + d;
  if (x.dtype == Dtype::kF32) return static_cast<const float*>(x.data)[at];
  const uint16_t bits = static_cast<const uint16_t*>(x.data)[at];
  return x.dtype == Dtype::kBF16 ? bf16_to_float(bits) : f16_to_float(bits);
}

namespace {

Shape with_partitions(Shape shape, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) shape.partitions.push_back(parse_partition(text));
  return shape;
}

// Copies what the sink sees into arrays by token.
struct Recorder {
  const Problem& problem;
  DenseResult& result;
  std::mutex mutex = {};

  // lanes [n, 64] of one block -> by_token [token, n]
  void scatter(const RowBlockMasses& block, const float* lanes, int64_t n, int64_t first_token,
               std::vector<float>& by_token) {
    for (int64_t i = 0; i < n; ++i) {
      for (int32_t lane = 0; lane < kRowLanes; ++lane) {
        const float value = lanes[i * kRowLanes + lane];
        if (lane >= block.num_rows) {
          ++result.idle_lanes;
          if (value != 0) ++result.dirty_lanes;
          continue;
        }
        const int64_t token = problem.rows().order[block.first_row + lane] - problem.shape().prefix;
        by_token[(first_token + token) * n + i] = value;
      }
    }
  }

  void take(const RowGroupMasses& masses) {
    const std::lock_guard lock(mutex);
    const Shape& shape = problem.shape();
    const int64_t first = (masses.batch * shape.heads + masses.head) * shape.grid.tokens();
    for (int32_t i = 0; i < masses.num_blocks; ++i) {
      const RowBlockMasses& block = masses.blocks[i];
      const auto cells = static_cast<int64_t>(problem.cells().cells.size());
      scatter(block, block.mass, cells, first, result.mass);
      scatter(block, block.entropy, 1, first, result.entropy);
      scatter(block, block.lse, 1, first, result.row_lse);
      scatter(block, block.mass_t, shape.grid.t, first, result.mass_t);
      scatter(block, block.mass_h, shape.grid.h, first, result.mass_h);
      scatter(block, block.mass_w, shape.grid.w, first, result.mass_w);
    }
  }
};

}  // namespace

std::vector<Shape> dense_shapes() {
  return {
      {.head_dim = 8, .grid = {1, 1, 1}},
      {.heads = 2, .head_dim = 5, .grid = {1, 1, 7}},
      {.batch = 2, .head_dim = 12, .grid = {2, 3, 5}},
      {.head_dim = 16, .grid = {1, 7, 9}, .tile = {1, 4, 4}},
      {.head_dim = 64, .grid = {4, 4, 16}},
      {.head_dim = 32, .grid = {1, 5, 13}, .tile = {1, 8, 8}},
      {.batch = 2, .heads = 2, .head_dim = 20, .grid = {5, 7, 6}, .prefix = 3},
      {.head_dim = 48, .grid = {7, 13, 5}, .tile = {3, 4, 5}},
      {.head_dim = 128, .grid = {3, 9, 11}, .suffix = 5},
      {.head_dim = 256, .grid = {4, 8, 9}, .prefix = 1, .suffix = 70},
      {.head_dim = 1, .grid = {2, 2, 37}, .tile = {1, 1, 1}},
      {.head_dim = 16, .grid = {6, 9, 10}, .tile = {6, 9, 5}, .prefix = 2},
      {.head_dim = 16, .grid = {3, 11, 13}, .tile = {3, 11, 13}},
      with_partitions({.head_dim = 24, .grid = {6, 8, 12}},
                      {"temporal:4", "spatial:2,3", "st:3,4,6"}),
  };
}

DenseResult run_dense(const Problem& problem, Impl impl, bool record, int threads) {
  const Shape& shape = problem.shape();
  const int64_t heads = shape.batch * shape.heads;
  DenseResult result;
  // A value that no row may keep.
  result.out.assign(heads * shape.tokens() * shape.head_dim, kUntouched);
  result.lse.assign(heads * shape.tokens(), kUntouched);

  DenseAttentionParams params;
  params.q = problem.q();
  params.k = problem.k();
  params.v = problem.v();
  params.scale = problem.scale();
  params.out = contiguous_output(result.out.data(), shape.heads, shape.tokens(), shape.head_dim);
  params.lse = result.lse.data();
  params.cells = &problem.cells();
  params.rows = &problem.rows();
  Recorder recorder{problem, result};
  if (record) {
    const int64_t rows = heads * shape.grid.tokens();
    result.mass.assign(rows * problem.cells().cells.size(), kUntouched);
    result.entropy.assign(rows, kUntouched);
    result.row_lse.assign(rows, kUntouched);
    result.mass_t.assign(rows * shape.grid.t, kUntouched);
    result.mass_h.assign(rows * shape.grid.h, kUntouched);
    result.mass_w.assign(rows * shape.grid.w, kUntouched);
    params.sink.context = &recorder;
    params.sink.consume = [](void* context, int, const RowGroupMasses& masses) {
      static_cast<Recorder*>(context)->take(masses);
    };
  }
  ThreadPool pool(threads);
  attention_kernels(impl).dense(params, pool);
  return result;
}

void Lists::add_item(const std::vector<int32_t>& item_rows,
                     const std::vector<int32_t>& item_ranges) {
  SparseItem item;
  item.first_row = static_cast<int32_t>(rows.size());
  item.num_rows = static_cast<int32_t>(item_rows.size());
  item.first_range = static_cast<int32_t>(range_ids.size());
  item.num_ranges = static_cast<int32_t>(item_ranges.size());
  rows.insert(rows.end(), item_rows.begin(), item_rows.end());
  range_ids.insert(range_ids.end(), item_ranges.begin(), item_ranges.end());
  items.push_back(item);
  ++strands.back().num_items;
}

void Lists::add_item_beside(const std::vector<int32_t>& item_rows) {
  const SparseItem last = items.back();
  add_item(item_rows, {});
  items.back().first_range = last.first_range;
  items.back().num_ranges = last.num_ranges;
}

void Lists::add_strand(int32_t batch, int32_t head, bool merges) {
  strands.push_back({.batch = batch,
                     .head = head,
                     .first_item = static_cast<int32_t>(items.size()),
                     .num_items = 0,
                     .merges = merges});
}

SparseSelection Lists::view() const {
  return {.key_order = key_order.data(),
          .num_keys = static_cast<int64_t>(key_order.size()),
          .ranges = ranges.data(),
          .num_ranges = static_cast<int64_t>(ranges.size()),
          .rows = rows.data(),
          .range_ids = range_ids.data(),
          .items = items.data(),
          .strands = strands.data(),
          .num_strands = static_cast<int64_t>(strands.size())};
}

Lists lists_over_cells(const Problem& problem) {
  Lists lists;
  lists.key_order = problem.cells().order;
  for (const KeyCell& cell : problem.cells().cells)
    lists.ranges.push_back({cell.first, cell.count});
  return lists;
}

SparseResult run_sparse(const Problem& problem, const Lists& lists, Impl impl, int threads) {
  const Shape& shape = problem.shape();
  SparseResult result;
  result.out.assign(shape.batch * shape.heads * shape.tokens() * shape.head_dim, kUntouched);
  result.lse.assign(shape.batch * shape.heads * shape.tokens(), kUntouched);
  SparseAttentionParams params;
  params.q = problem.q();
  params.k = problem.k();
  params.v = problem.v();
  params.scale = problem.scale();
  params.out = contiguous_output(result.out.data(), shape.heads, shape.tokens(), shape.head_dim);
  params.lse = result.lse.data();
  params.selection = lists.view();
  ThreadPool pool(threads);
  attention_kernels(impl).sparse(params, pool);
  return result;
}

std::string impl_test_name(Impl impl) {
  std::string name(impl_name(impl));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace sparsescope::testing
