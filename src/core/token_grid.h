// The token grid of a video, its tiles, and VMoBA's partitions.
// Raster index of a token: i = (t*Hg + h)*Wg + w. Tiles are numbered t, h, w with w fastest; only
// the last tile of an axis is clipped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sparsescope {

struct TokenGrid {
  int64_t t = 0;  // T, latent frames
  int64_t h = 0;  // Hg
  int64_t w = 0;  // Wg
  int64_t tokens() const { return t * h * w; }
  int64_t raster(int64_t it, int64_t ih, int64_t iw) const { return (it * h + ih) * w + iw; }
  bool operator==(const TokenGrid&) const = default;
};

struct TileShape {
  int64_t t = 4;  // bt
  int64_t h = 4;  // bh
  int64_t w = 4;  // bw
  int64_t volume() const { return t * h * w; }
  bool operator==(const TileShape&) const = default;
};

// A run of tokens along each axis: origin and extents.
struct Box {
  int32_t t0 = 0, h0 = 0, w0 = 0;
  int32_t t = 0, h = 0, w = 0;
  int64_t volume() const { return int64_t{t} * h * w; }
};

// The grid cut into cubes of one shape.
class TileGrid {
 public:
  // Both with positive extents, else Error(kUsage).
  TileGrid(const TokenGrid& grid, const TileShape& shape);

  const TokenGrid& grid() const { return grid_; }
  const TileShape& shape() const { return shape_; }
  int64_t tiles_t() const { return nt_; }
  int64_t tiles_h() const { return nh_; }
  int64_t tiles_w() const { return nw_; }
  int64_t num_tiles() const { return nt_ * nh_ * nw_; }  // N
  Box box(int64_t tile) const;
  int64_t size(int64_t tile) const { return box(tile).volume(); }  // n_i
  int64_t tile_of(int64_t it, int64_t ih, int64_t iw) const {
    return ((it / shape_.t) * nh_ + ih / shape_.h) * nw_ + iw / shape_.w;
  }
  int64_t tile_of_token(int64_t raster) const;
  // Raster indices of a tile's tokens, in (t, h, w) order.
  std::vector<int32_t> tokens_of(int64_t tile) const;

 private:
  TokenGrid grid_;
  TileShape shape_;
  int64_t nt_, nh_, nw_;
};

enum class PartitionKind { kTemporal, kSpatial, kSpatioTemporal };

// One of VMoBA's ways to cut the grid: temporal:a (a whole frames), spatial:bh,bw (all frames),
// st:bt,bh,bw. Blocks are numbered like tiles; a temporal partition may leave a short last block,
// the others must divide the grid.
struct Partition {
  PartitionKind kind = PartitionKind::kTemporal;
  TileShape block;  // axes the kind does not cut hold 0
  bool operator==(const Partition&) const = default;
};

// "temporal:2", "spatial:3,4", "st:4,6,4". A malformed text is Error(kUsage).
Partition parse_partition(std::string_view text);
std::string to_string(const Partition& partition);
// The blocks on this grid. Error(kUsage) names the axis that the partition does not divide.
TileGrid partition_blocks(const Partition& partition, const TokenGrid& grid);
// The candidates that `--partitions auto` measures: temporal 1, 2 and 4 frames where they cut the
// grid; for the 2D kind the dividing shapes nearest to 128 and 512 tokens, for the 3D kind 64 and
// 256 (the published ones hold 96 to 1,365). Kinds for which no dividing shape fits are left out.
std::vector<Partition> default_partitions(const TokenGrid& grid);

std::string to_string(const TokenGrid& grid);   // "8,16,16"
std::string to_string(const TileShape& shape);  // "4,4,4"

}  // namespace sparsescope
