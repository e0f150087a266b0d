#include "effects/tile_ladders.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "capture/gaussian_cut.h"
#include "capture/statistic_grids.h"
#include "plan/bsa_window.h"
#include "sparse/bsa_kv_rules.h"
#include "sparse/bsa_options.h"
#include "sparse/vsa_selector.h"

namespace sparsescope {
namespace {

constexpr int64_t kSteps = std::ssize(kFractions);

// The K(f) best tiles, ties to the lower tile.
void rank_levels(std::span<const float> scores, std::vector<int32_t>& order,
                 std::span<int32_t> levels) {
  const int64_t num_tiles = std::ssize(scores);
  order.resize(num_tiles);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  int32_t step = 0;
  for (int64_t rank = 0; rank < num_tiles; ++rank) {
    while (rank >= tiles_kept(kFractions[step], num_tiles)) ++step;
    levels[order[rank]] = step;
  }
}

// In standard deviations, of each kappa.
const std::array<double, kSteps>& kappa_cuts() {
  static const std::array<double, kSteps> cuts = [] {
    std::array<double, kSteps> result{};
    std::transform(kFractions.begin(), kFractions.end(), result.begin(), gaussian_cut);
    return result;
  }();
  return cuts;
}

// The tiles above each kappa's cut-off; the best one always.
void cutoff_levels(std::span<const float> scores, std::span<int32_t> levels) {
  std::fill(levels.begin(), levels.end(), static_cast<int32_t>(kSteps));
  for (int64_t step = kSteps - 1; step >= 0; --step) {
    const double cut = gaussian_cutoff(scores, kappa_cuts()[step]);
    for (size_t tile = 0; tile < scores.size(); ++tile) {
      if (scores[tile] >= cut) levels[tile] = static_cast<int32_t>(step);
    }
  }
  levels[std::max_element(scores.begin(), scores.end()) - scores.begin()] = 0;
}

using Levels = std::vector<int32_t> TileLadders::*;

void fill_levels(const std::vector<float>& scores, Levels levels, bool by_rank,
                 std::vector<TileLadders>& heads, ThreadPool& pool) {
  const int64_t num_tiles = heads.front().num_tiles;
  for (TileLadders& head : heads) (head.*levels).resize(num_tiles * num_tiles);
  std::vector<std::vector<int32_t>> order(pool.size());
  pool.parallel_for(std::ssize(heads) * num_tiles, [&](int64_t item, int worker) {
    const auto of_tile = std::span(scores).subspan(item * num_tiles, num_tiles);
    const auto out =
        std::span(heads[item / num_tiles].*levels).subspan(item % num_tiles * num_tiles, num_tiles);
    by_rank ? rank_levels(of_tile, order[worker], out) : cutoff_levels(of_tile, out);
  });
}

}  // namespace

BsaParams ladder_bsa_params(const TileShape& tile) {
  return {.query_keep = 0.5, .window = default_bsa_window(tile), .kv_keep = 1.0, .min_blocks = 1};
}

std::vector<TileLadders> make_tile_ladders(const TileSelectorCall& call, ThreadPool& pool) {
  const int64_t num_tiles = call.layout->num_tiles(), num_heads = call.q.heads;
  std::vector<TileLadders> heads(num_heads);
  std::vector<VsaHead> vsa;
  std::vector<BsaHead> bsa;
  const BsaOptions options = bsa_options(ladder_bsa_params(call.layout->tiles.shape()));
  for (int64_t head = 0; head < num_heads; ++head) {
    heads[head].num_tiles = num_tiles;
    heads[head].num_steps = kSteps;
    vsa.push_back({.head = head, .top_k = 1});
    bsa.push_back({.head = head, .options = options});
  }
  std::vector<float> scores(num_heads * num_tiles * num_tiles);  // [H, N, N]
  TileSelectorCall scored = call;
  scored.scores = scores.data();
  select_vsa(scored, vsa, pool);
  fill_levels(scores, &TileLadders::vsa, true, heads, pool);
  fill_levels(scores, &TileLadders::bsa_unpruned, false, heads, pool);
  std::vector<BsaSelection> pruned = select_bsa(scored, bsa, pool);
  fill_levels(scores, &TileLadders::bsa, false, heads, pool);
  for (int64_t head = 0; head < num_heads; ++head) heads[head].pruned = std::move(pruned[head]);
  return heads;
}

}  // namespace sparsescope
