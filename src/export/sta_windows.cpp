#include "export/sta_windows.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace sparsescope {
namespace {

struct Span {
  int64_t first = 0, last = 0;
};

// Key tiles of one axis, of n, that the window of w keeps for a query tile. Even sizes mean the
// whole axis.
Span kept_span(int64_t query, int64_t w, int64_t n) {
  if (w >= n) return {0, n - 1};
  const int64_t centre = std::clamp(query, w / 2, n - 1 - w / 2);
  return {centre - w / 2, centre + w / 2};
}

std::vector<TileShape> by_volume(std::vector<TileShape> windows) {
  std::stable_sort(windows.begin(), windows.end(),
                   [](const TileShape& a, const TileShape& b) { return a.volume() < b.volume(); });
  return windows;
}

std::string key_of(int64_t step, int64_t layer, int64_t head) {
  return fmt::format("{}_{}_{}", step, layer, head);
}

}  // namespace

const std::vector<StaGrid>& sta_grids() {
  static const std::vector<StaGrid> grids = {
      {{30, 48, 80},  // HunyuanVideo, 117x768x1280
       true,
       by_volume({{3, 3, 3},
                  {3, 3, 5},
                  {5, 3, 3},
                  {3, 5, 5},
                  {5, 6, 1},
                  {5, 3, 5},
                  {5, 5, 5},
                  {5, 5, 7},
                  {5, 6, 10},
                  {3, 6, 10},
                  {5, 1, 1},
                  {1, 6, 10},
                  {5, 1, 10}})},
      {{36, 48, 48},
       false,
       by_volume({{3, 3, 3},
                  {3, 3, 6},
                  {6, 3, 3},
                  {3, 6, 6},
                  {3, 6, 3},
                  {6, 3, 6},
                  {6, 6, 6},
                  {6, 1, 1},
                  {6, 1, 6},
                  {6, 6, 1},
                  {1, 6, 6},
                  {1, 1, 6},
                  {1, 6, 1}})},
      {{18, 48, 80},  // Wan, 69x768x1280
       false,
       by_volume({{3, 3, 3},
                  {3, 3, 5},
                  {3, 5, 5},
                  {3, 6, 1},
                  {3, 5, 7},
                  {3, 5, 9},
                  {3, 6, 10},
                  {3, 6, 3},
                  {3, 1, 1},
                  {1, 6, 10},
                  {1, 5, 10},
                  {1, 6, 7},
                  {1, 5, 7},
                  {1, 5, 9},
                  {3, 1, 10},
                  {3, 3, 10},
                  {1, 3, 10},
                  {1, 6, 5}})},
  };
  return grids;
}

const StaGrid& find_sta_grid(const TokenGrid& grid) {
  std::string known;
  for (const StaGrid& candidate : sta_grids()) {
    if (candidate.grid == grid) return candidate;
    known += (known.empty() ? "" : " or ") + to_string(candidate.grid);
  }
  fail(ErrorKind::kUsage, "sta: expected the token grid {}, found {}", known, to_string(grid));
}

double window_mass(const float* map, const TokenGrid& tiles, const TileShape& window) {
  const int64_t n = tiles.tokens();
  double sum = 0;
  for (int64_t query = 0; query < n; ++query) {
    const Span t = kept_span(query / (tiles.h * tiles.w), window.t, tiles.t);
    const Span h = kept_span(query / tiles.w % tiles.h, window.h, tiles.h);
    const Span w = kept_span(query % tiles.w, window.w, tiles.w);
    for (int64_t kt = t.first; kt <= t.last; ++kt) {
      for (int64_t kh = h.first; kh <= h.last; ++kh) {
        const float* row = map + query * n + tiles.raster(kt, kh, 0);
        for (int64_t kw = w.first; kw <= w.last; ++kw) sum += static_cast<double>(row[kw]);
      }
    }
  }
  return sum / static_cast<double>(n);
}

std::string to_sta_json(const StaStrategy& strategy) {
  std::string text = "{";
  size_t site = 0;
  for (int64_t step = 0; step < strategy.steps; ++step) {
    for (int64_t layer = 0; layer < strategy.layers; ++layer) {
      for (int64_t head = 0; head < strategy.heads; ++head, ++site) {
        const TileShape& window = strategy.windows[site];
        text += fmt::format("{}\n\"{}\": [{}, {}, {}]", site == 0 ? "" : ",",
                            key_of(step, layer, head), window.t, window.h, window.w);
      }
    }
  }
  return text + "\n}\n";
}

StaStrategy parse_sta_json(std::string_view text, int64_t steps, int64_t layers, int64_t heads,
                           const StaGrid& grid, const std::string& what) {
  const auto take = [&](std::string_view expected) {
    SPARSESCOPE_CHECK(ErrorKind::kData, text.starts_with(expected), "{}: expected '{}', found '{}'",
                      what, expected, text.substr(0, expected.size() + 20));
    text.remove_prefix(expected.size());
  };
  const auto take_number = [&] {
    int64_t value = 0;
    const auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    SPARSESCOPE_CHECK(ErrorKind::kData, error == std::errc(), "{}: expected a number, found '{}'",
                      what, text.substr(0, 20));
    text.remove_prefix(static_cast<size_t>(next - text.data()));
    return value;
  };
  StaStrategy strategy{steps, layers, heads, {}};
  const auto take_site = [&](const std::string& key) {
    take(fmt::format("{}\n\"{}\": [", strategy.windows.empty() ? "{" : ",", key));
    TileShape window;
    window.t = take_number();
    take(", ");
    window.h = take_number();
    take(", ");
    window.w = take_number();
    take("]");
    SPARSESCOPE_CHECK(
        ErrorKind::kData,
        std::find(grid.windows.begin(), grid.windows.end(), window) != grid.windows.end(),
        "{}: {}: expected a window of the grid {}, found {}", what, key, to_string(grid.grid),
        to_string(window));
    strategy.windows.push_back(window);
  };
  for (int64_t step = 0; step < steps; ++step) {
    for (int64_t layer = 0; layer < layers; ++layer) {
      for (int64_t head = 0; head < heads; ++head) take_site(key_of(step, layer, head));
    }
  }
  take("\n}\n");
  SPARSESCOPE_CHECK(ErrorKind::kData, text.empty(), "{}: expected no further text", what);
  return strategy;
}

}  // namespace sparsescope
