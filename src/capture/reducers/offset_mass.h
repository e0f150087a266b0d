// Probability by the distance of tiles: sums over rows of the probability on the key tiles at each
// absolute offset (|dt|, |dh|, |dw|) from the row's own tile.
#pragma once

#include <span>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

class OffsetMass {
 public:
  explicit OffsetMass(const TileGrid& tiles);

  // mass [N]: sums over rows rows of the query tile own.
  void add(int64_t own, std::span<const double> mass, double rows);
  // sums [tiles_t, tiles_h, tiles_w]: of rows rows, by offset.
  void add_sums(std::span<const double> sums, double rows);
  void merge(const OffsetMass& other) { add_sums(other.sums_, other.rows_); }

  // [tiles_t, tiles_h, tiles_w] mean over all rows
  std::vector<double> means() const;

 private:
  int64_t tiles_t_, tiles_h_, tiles_w_;
  std::vector<double> sums_;
  double rows_ = 0.0;
};

}  // namespace sparsescope
