#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sparsescope {
namespace {

constexpr double kTheta = 10000.0;

// [extent, dim / 2], row-major
std::vector<c10::complex<float>> axis_table(int64_t extent, int64_t dim) {
  std::vector<c10::complex<float>> table;
  table.reserve(static_cast<size_t>(extent * dim / 2));
  for (int64_t position = 0; position < extent; ++position) {
    for (int64_t j = 0; j < dim / 2; ++j) {
      const double frequency =
          1.0 / std::pow(kTheta, static_cast<double>(2 * j) / static_cast<double>(dim));
      const double angle = static_cast<double>(position) * frequency;
      table.emplace_back(static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle)));
    }
  }
  return table;
}

using Row = c10::complex<float>;

Row* append(Row* out, const std::vector<Row>& table, int64_t position, int64_t width) {
  const Row* row = table.data() + position * width;
  return std::copy(row, row + width, out);
}

}  // namespace

at::Tensor rope_table(const TokenGrid& grid, int64_t head_dim) {
  const int64_t dim_hw = 2 * (head_dim / 6);
  const int64_t dim_t = head_dim - 2 * dim_hw;
  const auto table_t = axis_table(grid.t, dim_t);   // [T, d_t/2]
  const auto table_h = axis_table(grid.h, dim_hw);  // [Hg, d_h/2]
  const auto table_w = axis_table(grid.w, dim_hw);  // [Wg, d_w/2]
  at::Tensor table = at::empty({grid.tokens(), 1, head_dim / 2}, at::kComplexFloat);
  Row* out = table.data_ptr<Row>();
  for (int64_t t = 0; t < grid.t; ++t) {
    for (int64_t h = 0; h < grid.h; ++h) {
      for (int64_t w = 0; w < grid.w; ++w) {
        out = append(out, table_t, t, dim_t / 2);
        out = append(out, table_h, h, dim_hw / 2);
        out = append(out, table_w, w, dim_hw / 2);
      }
    }
  }
  return table;
}

at::Tensor apply_rope(at::Tensor x, const at::Tensor& table) {
  at::Tensor pairs = at::view_as_complex(
      x.view({x.size(0), x.size(1), x.size(2), x.size(3) / 2, 2}));  // [B, S, H, D/2] complex
  if (x.requires_grad()) return at::view_as_real(pairs * table).view(x.sizes());
  pairs.mul_(table);
  return x;
}

}  // namespace sparsescope
