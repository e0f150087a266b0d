#include "capture/window_cosine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "capture/query_columns.h"
#include "capture/query_windows.h"

namespace sparsescope {
namespace {

// Channels that are summed side by side, in vectors that every processor has: their sums stay in
// registers, those of an array do not.
using Vec = float __attribute__((vector_size(16)));
constexpr int64_t kVectors = 4;
constexpr int64_t kChunk = kVectors * sizeof(Vec) / sizeof(float);

struct Chunk {
  Vec lanes[kVectors];

  void add(const Chunk& other) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) lanes[v] += other.lanes[v];
  }
  void add_product(const Chunk& a, const Chunk& b) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) lanes[v] += a.lanes[v] * b.lanes[v];
  }
  void scale(float factor) {
    for (Vec& vec : lanes) vec *= factor;
  }
  double sum() const {
    double sum = 0.0;
    for (const Vec& vec : lanes) sum += double{vec[0]} + vec[1] + vec[2] + vec[3];
    return sum;
  }
};

// Sum of the cosines in all windows of one shape.
struct WindowSum {
  TileShape window;
  double cosines = 0.0;
  int64_t rows = 0;
};

// One head's tiles, one after the other. The cosines of a window are the product of its centre's
// unit query with the sum of the others'.
class HeadWindows {
 public:
  HeadWindows(const TileGrid& tiles, int64_t head_dim)
      : tiles_(tiles),
        head_dim_(head_dim),
        chunks_((head_dim + kChunk - 1) / kChunk),
        units_(tiles.size(0) * chunks_) {
    for (const TileShape& window : query_windows(tiles)) sums_.push_back({window});
  }

  // rows [n_i][D]: the tile's queries in (t, h, w) order
  void add(int64_t tile, const float* const* rows) {
    const Box box = tiles_.box(tile);
    for (int64_t i = 0; i < box.volume(); ++i) store_unit(rows[i], &units_[i * chunks_]);
    for (WindowSum& sum : sums_) add_windows(box, sum);
  }

  void store_means(double* means) const {
    for (const WindowSum& sum : sums_) *means++ = sum.cosines / static_cast<double>(sum.rows);
  }

 private:
  void store_unit(const float* row, Chunk* unit) const {
    constexpr double kFloor = 1e-12;
    std::memcpy(unit, row, head_dim_ * sizeof(float));  // the padding behind it stays zero
    Chunk squares{};
    for (int64_t c = 0; c < chunks_; ++c) squares.add_product(unit[c], unit[c]);
    const auto inverse = static_cast<float>(1.0 / std::max(std::sqrt(squares.sum()), kFloor));
    for (int64_t c = 0; c < chunks_; ++c) unit[c].scale(inverse);
  }

  void add_windows(const Box& box, WindowSum& sum) {
    const TileShape& window = sum.window;
    Chunk products{};
    for (int64_t t = 0; t < box.t; t += window.t) {
      for (int64_t h = 0; h < box.h; h += window.h) {
        for (int64_t w = 0; w < box.w; w += window.w) {
          const TileShape extent{std::min(window.t, box.t - t), std::min(window.h, box.h - h),
                                 std::min(window.w, box.w - w)};
          sum.rows += extent.volume() - 1;
          add_window(box, {t, h, w}, extent, products);
        }
      }
    }
    sum.cosines += products.sum();
  }

  void add_window(const Box& box, const TileShape& corner, const TileShape& extent,
                  Chunk& products) {
    const auto unit_of = [&](int64_t t, int64_t h, int64_t w) {
      const int64_t row = ((corner.t + t) * box.h + corner.h + h) * box.w + corner.w + w;
      return &units_[row * chunks_];
    };
    const Chunk* centre = unit_of(extent.t / 2, extent.h / 2, extent.w / 2);
    others_.clear();
    for (int64_t t = 0; t < extent.t; ++t) {
      for (int64_t h = 0; h < extent.h; ++h) {
        for (int64_t w = 0; w < extent.w; ++w) {
          if (const Chunk* unit = unit_of(t, h, w); unit != centre) others_.push_back(unit);
        }
      }
    }
    for (int64_t c = 0; c < chunks_; ++c) {
      Chunk sum{};
      for (const Chunk* unit : others_) sum.add(unit[c]);
      products.add_product(sum, centre[c]);
    }
  }

  const TileGrid& tiles_;
  int64_t head_dim_, chunks_;
  std::vector<WindowSum> sums_;
  std::vector<Chunk> units_;          // [tokens of the largest tile, chunks]
  std::vector<const Chunk*> others_;  // of the window at hand
};

}  // namespace

std::optional<StatArray> window_cosine(const AttentionTensor& q, const CallLayout& layout,
                                       const RowStatsKernels& kernels, ThreadPool& pool) {
  const TileGrid& tiles = layout.cells.tiles;
  const int64_t windows = std::ssize(query_windows(tiles));
  if (windows == 0) return std::nullopt;
  StatArray array{.name = "window_cosine", .shape = {q.heads, windows}, .axes = {"window"}};
  array.values.resize(q.heads * windows);
  pool.parallel_for(q.heads, [&](int64_t head, int) {
    HeadWindows sums(tiles, q.head_dim);
    RowPointers rows;
    for (const TileRows& tile : layout.rows.tiles) {
      const int32_t* tokens = &layout.rows.order[tile.first];
      sums.add(tile.tile, rows.load(q, 0, head, tokens, tile.count, kernels));
    }
    sums.store_means(&array.values[head * windows]);
  });
  return array;
}

}  // namespace sparsescope
