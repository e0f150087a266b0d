// The rows that statistics in need of an order within a row are measured on: all video rows, or a
// stratified sample of equal weight.
#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "core/row_groups.h"

namespace sparsescope {

// Numbered by position in the row order.
struct SampledRows {
  bool all = true;
  std::vector<int32_t> token;    // [n] token index
  std::vector<RowBlock> blocks;  // of these rows; those of the row groups where all are taken
  std::vector<int32_t> first;    // [row blocks of video rows + 1] first row of each row block
  std::vector<uint8_t> lane;     // [n] in its row block

  int64_t size() const { return static_cast<int64_t>(token.size()); }
};

// The numbers of a block's rows.
class RowNumbers {
 public:
  explicit RowNumbers(const RowBlock& block) : count_(block.count) {
    std::iota(number_.begin(), number_.end(), block.first);
  }
  operator std::span<const int32_t>() const { return std::span(number_).first(count_); }

 private:
  std::array<int32_t, kRowLanes> number_;
  size_t count_;
};

// count rows, one drawn from each of as many runs of the row order that are equal but for one row;
// all rows where count is not below their number. video_tokens: rows of the order that are sampled.
SampledRows sample_rows(const RowGroups& rows, int64_t video_tokens, int64_t count, uint64_t seed);

}  // namespace sparsescope
