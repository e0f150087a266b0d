#include "sparse/block_plan_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/atomic_file.h"

namespace sparsescope {
namespace {

constexpr int64_t kMostCells = 96;  // of a panel's side
constexpr int kPanel = 240;         // pixels
constexpr int kMargin = 24, kCaption = 20, kTitle = 44;
constexpr int64_t kMostColumns = 4;
constexpr int64_t kTitleWidth = 720;  // of the longest line above the panels
constexpr int kShades = 8;            // besides white; one path each keeps the file small

// From light to dark, readable without colour.
constexpr std::array<const char*, kShades> kColours = {"#deebf7", "#c6dbef", "#9ecae1", "#6baed6",
                                                       "#4292c6", "#2171b5", "#08519c", "#08306b"};

struct Cells {
  int64_t side = 0;
  std::vector<double> density;  // [side, side]
};

// Means over runs of blocks, so that at most kMostCells remain along each axis.
Cells pool_blocks(const std::vector<double>& density, int64_t num_blocks) {
  const int64_t side = std::min(num_blocks, kMostCells);
  Cells cells{side, std::vector<double>(side * side, 0.0)};
  std::vector<int64_t> blocks_of(side, 0);
  for (int64_t i = 0; i < num_blocks; ++i) ++blocks_of[i * side / num_blocks];
  for (int64_t i = 0; i < num_blocks; ++i) {
    for (int64_t j = 0; j < num_blocks; ++j) {
      cells.density[i * side / num_blocks * side + j * side / num_blocks] +=
          density[i * num_blocks + j];
    }
  }
  for (int64_t i = 0; i < side * side; ++i) {
    cells.density[i] /= static_cast<double>(blocks_of[i / side] * blocks_of[i % side]);
  }
  return cells;
}

// 0: nothing is computed; any pair at all is at least the lightest shade. The root tells the small
// shares of pooled cells apart.
int shade_of(double density) {
  if (density <= 0) return 0;
  return std::clamp(static_cast<int>(std::ceil(std::sqrt(density) * kShades)), 1, kShades);
}

// One path a shade; neighbours of a row are joined.
std::string cells_to_paths(const Cells& cells) {
  std::array<std::string, kShades + 1> paths;
  for (int64_t i = 0; i < cells.side; ++i) {
    for (int64_t j = 0, last = 0; j < cells.side; j = last) {
      const int shade = shade_of(cells.density[i * cells.side + j]);
      for (last = j + 1; last < cells.side; ++last) {
        if (shade_of(cells.density[i * cells.side + last]) != shade) break;
      }
      paths[shade] += fmt::format("M{} {}h{}v1h-{}z", j, i, last - j, last - j);
    }
  }
  std::string text;
  for (int shade = 1; shade <= kShades; ++shade) {
    if (paths[shade].empty()) continue;
    text += fmt::format("<path fill=\"{}\" d=\"{}\"/>\n", kColours[shade - 1], paths[shade]);
  }
  return text;
}

std::string panel(const BlockPlan& plan, const HeadPlanSummary& head, int x, int y) {
  const int64_t num_blocks = TileGrid(plan.grid, plan.block).num_tiles();
  const Cells cells = pool_blocks(block_densities(plan, head.batch, head.head), num_blocks);
  std::string text =
      fmt::format("<text x=\"{}\" y=\"{}\">batch {}, head {}: density {:.3f}</text>\n", x, y - 6,
                  head.batch, head.head, head.density);
  text += fmt::format(
      "<g transform=\"translate({} {}) scale({:.6f})\" shape-rendering=\"crispEdges\">\n{}</g>\n",
      x, y, static_cast<double>(kPanel) / static_cast<double>(cells.side), cells_to_paths(cells));
  text += fmt::format(
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#888888\"/>\n", x,
      y, kPanel, kPanel);
  return text;
}

}  // namespace

std::string block_plan_svg(const BlockPlan& plan) {
  const std::vector<HeadPlanSummary> heads = summarize_plan(plan);
  const int64_t columns = std::min<int64_t>(kMostColumns, std::ssize(heads));
  const int64_t lines = (std::ssize(heads) + columns - 1) / columns;
  const int64_t width = std::max(kTitleWidth, kMargin + columns * (kPanel + kMargin));
  const int64_t height = kTitle + lines * (kPanel + kCaption + kMargin);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" "
      "fill=\"#ffffff\"/>\n",
      width, height);
  svg += fmt::format(
      "<text x=\"{}\" y=\"18\" font-size=\"14\">{}, grid {}, {} blocks of {}</text>\n"
      "<text x=\"{}\" y=\"36\">query blocks downwards, key blocks to the right; darker: more of "
      "the "
      "pairs computed{}</text>\n",
      kMargin, to_string(plan.method), to_string(plan.grid),
      TileGrid(plan.grid, plan.block).num_tiles(), to_string(plan.block), kMargin,
      plan.prefix + plan.suffix > 0 ? "; text, always dense, is left out" : "");
  for (int64_t i = 0; i < std::ssize(heads); ++i) {
    const auto x = static_cast<int>(kMargin + i % columns * (kPanel + kMargin));
    const auto y =
        static_cast<int>(kTitle + kCaption + i / columns * (kPanel + kCaption + kMargin));
    svg += panel(plan, heads[i], x, y);
  }
  return svg + "</svg>\n";
}

void write_block_plan_picture(const std::filesystem::path& path, const BlockPlan& plan,
                              bool replace) {
  write_text_atomically(path, block_plan_svg(plan), replace);
}

}  // namespace sparsescope
