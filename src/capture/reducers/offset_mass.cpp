#include "capture/reducers/offset_mass.h"

#include <cstdlib>

namespace sparsescope {

OffsetMass::OffsetMass(const TileGrid& tiles)
    : tiles_t_(tiles.tiles_t()),
      tiles_h_(tiles.tiles_h()),
      tiles_w_(tiles.tiles_w()),
      sums_(static_cast<size_t>(tiles.num_tiles())) {}

void OffsetMass::add(int64_t own, std::span<const double> mass, double rows) {
  const int64_t own_w = own % tiles_w_, own_h = own / tiles_w_ % tiles_h_,
                own_t = own / (tiles_w_ * tiles_h_);
  const double* key = mass.data();
  for (int64_t t = 0; t < tiles_t_; ++t) {
    for (int64_t h = 0; h < tiles_h_; ++h) {
      double* line = &sums_[(std::abs(t - own_t) * tiles_h_ + std::abs(h - own_h)) * tiles_w_];
      for (int64_t w = 0; w < tiles_w_; ++w) line[std::abs(w - own_w)] += *key++;
    }
  }
  rows_ += rows;
}

void OffsetMass::add_sums(std::span<const double> sums, double rows) {
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += sums[i];
  rows_ += rows;
}

std::vector<double> OffsetMass::means() const {
  std::vector<double> means(sums_);
  for (double& mean : means) mean /= rows_;
  return means;
}

}  // namespace sparsescope
