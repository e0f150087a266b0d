#include "core/key_cells.h"

#include <algorithm>
#include <set>

namespace sparsescope {
namespace {

// Origins of the runs along one axis, with the extent as the last entry.
std::vector<int32_t> axis_cuts(int64_t extent, const std::vector<int64_t>& steps) {
  std::set<int32_t> cuts{static_cast<int32_t>(extent)};
  for (const int64_t step : steps) {
    for (int64_t at = 0; at < extent; at += step) cuts.insert(static_cast<int32_t>(at));
  }
  return {cuts.begin(), cuts.end()};
}

// Cuts that lie in [begin, begin + extent), with the end appended.
std::vector<int32_t> cuts_within(const std::vector<int32_t>& cuts, int32_t begin, int32_t extent) {
  std::vector<int32_t> inside;
  for (const int32_t cut : cuts) {
    if (cut >= begin && cut < begin + extent) inside.push_back(cut);
  }
  inside.push_back(begin + extent);
  return inside;
}

}  // namespace

KeyCells make_key_cells(const TileGrid& tiles, const std::vector<Partition>& partitions,
                        int64_t prefix, int64_t suffix) {
  const TokenGrid& grid = tiles.grid();
  std::vector<TileGrid> blocks;
  std::vector<int64_t> steps_t{tiles.shape().t}, steps_h{tiles.shape().h}, steps_w{tiles.shape().w};
  for (const Partition& partition : partitions) {
    blocks.push_back(partition_blocks(partition, grid));
    steps_t.push_back(blocks.back().shape().t);
    steps_h.push_back(blocks.back().shape().h);
    steps_w.push_back(blocks.back().shape().w);
  }
  const auto cuts_t = axis_cuts(grid.t, steps_t);
  const auto cuts_h = axis_cuts(grid.h, steps_h);
  const auto cuts_w = axis_cuts(grid.w, steps_w);

  KeyCells result{.tiles = tiles};
  result.block_of_cell.resize(partitions.size());
  for (int64_t tile = 0; tile < tiles.num_tiles(); ++tile) {
    result.tile_first.push_back(static_cast<int32_t>(result.cells.size()));
    const Box tile_box = tiles.box(tile);
    const auto ts = cuts_within(cuts_t, tile_box.t0, tile_box.t);
    const auto hs = cuts_within(cuts_h, tile_box.h0, tile_box.h);
    const auto ws = cuts_within(cuts_w, tile_box.w0, tile_box.w);
    for (size_t a = 0; a + 1 < ts.size(); ++a) {
      for (size_t b = 0; b + 1 < hs.size(); ++b) {
        for (size_t c = 0; c + 1 < ws.size(); ++c) {
          KeyCell cell;
          cell.first = static_cast<int32_t>(result.order.size());
          cell.tile = static_cast<int32_t>(tile);
          cell.box = {ts[a], hs[b], ws[c], ts[a + 1] - ts[a], hs[b + 1] - hs[b], ws[c + 1] - ws[c]};
          for (int32_t t = ts[a]; t < ts[a + 1]; ++t) {
            for (int32_t h = hs[b]; h < hs[b + 1]; ++h) {
              for (int32_t w = ws[c]; w < ws[c + 1]; ++w) {
                result.order.push_back(static_cast<int32_t>(prefix + grid.raster(t, h, w)));
              }
            }
          }
          cell.count = static_cast<int32_t>(result.order.size()) - cell.first;
          for (size_t p = 0; p < blocks.size(); ++p) {
            result.block_of_cell[p].push_back(
                static_cast<int32_t>(blocks[p].tile_of(ts[a], hs[b], ws[c])));
          }
          result.cells.push_back(cell);
        }
      }
    }
  }
  result.num_video_cells = static_cast<int32_t>(result.cells.size());
  result.tile_first.push_back(result.num_video_cells);
  if (prefix + suffix > 0) {
    KeyCell text;
    text.first = static_cast<int32_t>(result.order.size());
    for (int64_t i = 0; i < prefix; ++i) result.order.push_back(static_cast<int32_t>(i));
    for (int64_t i = 0; i < suffix; ++i) {
      result.order.push_back(static_cast<int32_t>(prefix + grid.tokens() + i));
    }
    text.count = static_cast<int32_t>(prefix + suffix);
    result.cells.push_back(text);
  }
  return result;
}

}  // namespace sparsescope
