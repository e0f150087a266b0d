// The key tiles that each query tile of one (batch, head) attends to, as compressed rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsescope {

struct TileLists {
  std::vector<int32_t> first{0};  // [rows + 1]
  std::vector<int32_t> tiles;     // ascending within a row

  int64_t num_rows() const { return static_cast<int64_t>(first.size()) - 1; }
  std::span<const int32_t> of(int64_t row) const {
    return std::span(tiles).subspan(first[row], first[row + 1] - first[row]);
  }
  void end_row() { first.push_back(static_cast<int32_t>(tiles.size())); }
};

// The rows of all parts, one part behind the other.
TileLists join_rows(std::span<const TileLists> parts);

}  // namespace sparsescope
