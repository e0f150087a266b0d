// The statistics of one head from its whole probability matrix, in fp64 and written from their
// definitions: the independent truth that the streamed reducers are judged by. Video rows and keys
// are numbered in raster order.
#pragma once

#include <cstdint>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope::naive {

using Matrix = std::vector<std::vector<double>>;

struct Call {
  TokenGrid grid;
  TileShape tile;
  int64_t prefix = 0, suffix = 0;
  int64_t heads = 0, head_dim = 0;
  std::vector<float> q, k, v;  // [H, S, D]

  int64_t tokens() const { return prefix + grid.tokens() + suffix; }
  double scale() const;
  const float* query(int64_t head, int64_t token) const;
  const float* key(int64_t head, int64_t token) const;
};

// Peaked attention: neighbours are alike, some keys are sinks, heads differ.
Call make_call(const TokenGrid& grid, const TileShape& tile, int64_t prefix, int64_t suffix,
               int64_t heads, int64_t head_dim, uint64_t seed);

// [S_video, S] probabilities of the video rows over all keys
Matrix probabilities(const Call& call, int64_t head);

struct TileFacts {
  std::vector<int64_t> tile_of;  // [S_video]
  std::vector<double> size;      // [N]
  Matrix row_mass;               // [S_video, N]
  Matrix mass;                   // [N, N] M
  Matrix score;                  // [N, N] Z
};
TileFacts tile_facts(const Call& call, int64_t head, const Matrix& probs);

std::vector<double> coverage_row(const TileFacts& facts);
std::vector<double> coverage_tile(const TileFacts& facts);
std::vector<double> coverage_pooled(const TileFacts& facts);
std::vector<double> key_mass(const TileFacts& facts);
double row_overlap(const TileFacts& facts);
std::vector<double> score_moments(const TileFacts& facts);
void bsa_curves(const TileFacts& facts, std::vector<double>& density, std::vector<double>& recall);

// axis 0 t, 1 h, 2 w
std::vector<double> distance_mass(const Call& call, const Matrix& probs, int axis);
std::vector<double> frame_mass(const Call& call, const Matrix& probs);
double entropy(const Matrix& probs);
double text_mass(const Call& call, const Matrix& probs);
std::vector<double> query_cosine(const Call& call, int64_t head);
// [tiles_t, tiles_h, tiles_w]
std::vector<double> offset_mass(const Call& call, const Matrix& probs);
// Mean cosine to the centre over the windows of these extents.
double window_cosine(const Call& call, int64_t head, const TileShape& window);

}  // namespace sparsescope::naive
