#include "core/token_grid.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "core/partition_choice.h"

namespace sparsescope {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::vector<int64_t> parse_counts(std::string_view list, std::string_view whole) {
  std::vector<int64_t> counts;
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view item = list.substr(0, comma);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), value);
    SPARSESCOPE_CHECK(ErrorKind::kUsage,
                      error == std::errc() && end == item.data() + item.size() && value > 0,
                      "partition '{}': expected positive whole numbers, found '{}'", whole, item);
    counts.push_back(value);
    if (comma == std::string_view::npos) return counts;
    list.remove_prefix(comma + 1);
  }
}

void check_divides(std::string_view axis, int64_t extent, int64_t block,
                   const Partition& partition) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, extent % block == 0,
                    "partition {}: the {} axis has {} tokens, which blocks of {} do not divide",
                    to_string(partition), axis, extent, block);
}

std::vector<int64_t> divisors(int64_t extent) {
  std::vector<int64_t> found;
  for (int64_t divisor = 1; divisor <= extent; ++divisor) {
    if (extent % divisor == 0) found.push_back(divisor);
  }
  return found;
}

// How far a shape is from blocks of wanted tokens with alike extents along the axes it cuts.
double misfit(const TokenGrid& grid, const TileShape& shape, double wanted_tokens) {
  auto [least, most] = std::minmax({shape.h, shape.w});
  if (shape.t < grid.t) {
    least = std::min(least, shape.t);
    most = std::max(most, shape.t);
  }
  return std::abs(std::log(static_cast<double>(shape.volume()) / wanted_tokens)) +
         0.5 * std::log(static_cast<double>(most) / static_cast<double>(least));
}

// The dividing shape of at least two blocks that fits best; ts holds the extents allowed along t.
std::optional<TileShape> best_shape(const TokenGrid& grid, const std::vector<int64_t>& ts,
                                    double wanted_tokens) {
  std::optional<TileShape> best;
  for (const int64_t t : ts) {
    for (const int64_t h : divisors(grid.h)) {
      for (const int64_t w : divisors(grid.w)) {
        const TileShape shape{t, h, w};
        if (shape.volume() < min_block_tokens(grid) || 2 * shape.volume() > grid.tokens()) continue;
        if (!best || misfit(grid, shape, wanted_tokens) < misfit(grid, *best, wanted_tokens))
          best = shape;
      }
    }
  }
  return best;
}

}  // namespace

TileGrid::TileGrid(const TokenGrid& grid, const TileShape& shape)
    : grid_(grid), shape_(shape), nt_(0), nh_(0), nw_(0) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, grid.t > 0 && grid.h > 0 && grid.w > 0,
                    "grid: expected three positive extents, found {}", to_string(grid));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, shape.t > 0 && shape.h > 0 && shape.w > 0,
                    "tile: expected three positive extents, found {}", to_string(shape));
  nt_ = ceil_div(grid.t, shape.t);
  nh_ = ceil_div(grid.h, shape.h);
  nw_ = ceil_div(grid.w, shape.w);
}

Box TileGrid::box(int64_t tile) const {
  const int64_t iw = tile % nw_;
  const int64_t ih = (tile / nw_) % nh_;
  const int64_t it = tile / (nw_ * nh_);
  Box box;
  box.t0 = static_cast<int32_t>(it * shape_.t);
  box.h0 = static_cast<int32_t>(ih * shape_.h);
  box.w0 = static_cast<int32_t>(iw * shape_.w);
  box.t = static_cast<int32_t>(std::min(shape_.t, grid_.t - box.t0));
  box.h = static_cast<int32_t>(std::min(shape_.h, grid_.h - box.h0));
  box.w = static_cast<int32_t>(std::min(shape_.w, grid_.w - box.w0));
  return box;
}

int64_t TileGrid::tile_of_token(int64_t raster) const {
  return tile_of(raster / (grid_.h * grid_.w), (raster / grid_.w) % grid_.h, raster % grid_.w);
}

std::vector<int32_t> TileGrid::tokens_of(int64_t tile) const {
  const Box b = box(tile);
  std::vector<int32_t> tokens;
  tokens.reserve(b.volume());
  for (int32_t t = b.t0; t < b.t0 + b.t; ++t) {
    for (int32_t h = b.h0; h < b.h0 + b.h; ++h) {
      for (int32_t w = b.w0; w < b.w0 + b.w; ++w) {
        tokens.push_back(static_cast<int32_t>(grid_.raster(t, h, w)));
      }
    }
  }
  return tokens;
}

Partition parse_partition(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const auto counts = colon == std::string_view::npos ? std::vector<int64_t>{}
                                                      : parse_counts(text.substr(colon + 1), text);
  if (kind == "temporal" && counts.size() == 1) {
    return {PartitionKind::kTemporal, {counts[0], 0, 0}};
  }
  if (kind == "spatial" && counts.size() == 2) {
    return {PartitionKind::kSpatial, {0, counts[0], counts[1]}};
  }
  if (kind == "st" && counts.size() == 3) {
    return {PartitionKind::kSpatioTemporal, {counts[0], counts[1], counts[2]}};
  }
  fail(ErrorKind::kUsage,
       "partition '{}': expected temporal:T, spatial:H,W or st:T,H,W with whole numbers of tokens",
       text);
}

std::string to_string(const Partition& partition) {
  const TileShape& b = partition.block;
  switch (partition.kind) {
    case PartitionKind::kTemporal:
      return fmt::format("temporal:{}", b.t);
    case PartitionKind::kSpatial:
      return fmt::format("spatial:{},{}", b.h, b.w);
    case PartitionKind::kSpatioTemporal:
      return fmt::format("st:{},{},{}", b.t, b.h, b.w);
  }
  fail(ErrorKind::kInternal, "partition of an unknown kind");
}

TileGrid partition_blocks(const Partition& partition, const TokenGrid& grid) {
  TileShape shape = partition.block;
  if (partition.kind == PartitionKind::kTemporal) {
    return TileGrid(grid, {std::min(shape.t, grid.t), grid.h, grid.w});
  }
  check_divides("h", grid.h, shape.h, partition);
  check_divides("w", grid.w, shape.w, partition);
  if (partition.kind == PartitionKind::kSpatial) {
    shape.t = grid.t;
  } else {
    check_divides("t", grid.t, shape.t, partition);
  }
  return TileGrid(grid, shape);
}

std::vector<Partition> default_partitions(const TokenGrid& grid) {
  std::vector<Partition> found;
  const auto add = [&](const Partition& partition) {
    if (std::find(found.begin(), found.end(), partition) == found.end()) found.push_back(partition);
  };
  for (const int64_t frames : {1, 2, 4}) {
    if (frames < grid.t) add({PartitionKind::kTemporal, {frames, 0, 0}});
  }
  for (const double tokens : {128.0, 512.0}) {
    if (const auto shape = best_shape(grid, {grid.t}, tokens)) {
      add({PartitionKind::kSpatial, {0, shape->h, shape->w}});
    }
  }
  std::vector<int64_t> cuts_of_t = divisors(grid.t);
  if (cuts_of_t.size() > 1) cuts_of_t.pop_back();  // the whole axis is the spatial kind
  for (const double tokens : {64.0, 256.0}) {
    if (const auto shape = best_shape(grid, cuts_of_t, tokens)) {
      add({PartitionKind::kSpatioTemporal, *shape});
    }
  }
  return found;
}

std::string to_string(const TokenGrid& grid) {
  return fmt::format("{},{},{}", grid.t, grid.h, grid.w);
}
std::string to_string(const TileShape& shape) {
  return fmt::format("{},{},{}", shape.t, shape.h, shape.w);
}

}  // namespace sparsescope
