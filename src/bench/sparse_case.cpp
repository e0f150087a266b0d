#include "bench/sparse_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "sparse/bsa_restore.h"
#include "sparse/head_lists.h"
#include "sparse/head_selection.h"

namespace sparsescope {
namespace {

constexpr int64_t kMinBlocks = 32;  // coarser partitions cannot come near small densities
constexpr int kBisections = 10;

int64_t kept_count(double density, int64_t count) {
  return std::clamp(static_cast<int64_t>(std::ceil(density * static_cast<double>(count))),
                    int64_t{1}, count);
}

double mean_density(const BlockLists& lists, const AttentionCall& call) {
  const std::vector<double> density = lists.density(call.q.batch, call.q.heads, call.q.tokens);
  return std::reduce(density.begin(), density.end()) / static_cast<double>(density.size());
}

TileLists random_tiles(int64_t num_tiles, int64_t kept, uint64_t key) {
  TileLists lists;
  std::vector<std::pair<double, int32_t>> order(num_tiles);
  for (int64_t row = 0; row < num_tiles; ++row) {
    for (int64_t tile = 0; tile < num_tiles; ++tile) {
      const auto index = static_cast<uint64_t>(row * num_tiles + tile);
      order[tile] = {uniform(key, index), static_cast<int32_t>(tile)};
    }
    std::partial_sort(order.begin(), order.begin() + kept, order.end());
    const auto first = lists.tiles.size();
    for (int64_t i = 0; i < kept; ++i) lists.tiles.push_back(order[i].second);
    std::sort(lists.tiles.begin() + static_cast<int64_t>(first), lists.tiles.end());
    lists.end_row();
  }
  return lists;
}

BlockLists random_lists(const AttentionCall& call, const TokenLayout& layout, double density,
                        uint64_t seed) {
  const int64_t num_tiles = layout.num_tiles(), kept = kept_count(density, num_tiles);
  std::vector<HeadLists> heads;
  for (int64_t item = 0; item < call.q.batch * call.q.heads; ++item) {
    const TileLists tiles =
        random_tiles(num_tiles, kept, combine_key(seed, static_cast<uint64_t>(item)));
    heads.push_back(tile_head_lists(layout, tiles, item / call.q.heads, item % call.q.heads));
  }
  return join_lists(layout, heads);
}

}  // namespace

SparseSetting random_setting(double density, int64_t num_tiles) {
  const std::string parameters = fmt::format("tiles {}", kept_count(density, num_tiles));
  return {"random", parameters, density, std::nullopt};
}

SparseSetting vsa_setting(double density, int64_t num_tiles) {
  const int64_t kept = kept_count(density, num_tiles);
  return {"vsa", fmt::format("top-k {}", kept), density, VsaParams{.top_k = kept}};
}

SparseSetting bsa_setting(double density) {
  const BsaParams params{.kv_keep = std::min(1.0, 2 * density)};
  return {"bsa", fmt::format("query {:g} kv {:g}", params.query_keep, params.kv_keep), density,
          params};
}

SparseSetting published_bsa_setting() { return bsa_setting(0.05); }

SparseSetting vmoba_setting(double density, const Partition& partition, const TokenGrid& grid) {
  const int64_t blocks = partition_blocks(partition, grid).num_tiles();
  const auto nearest = static_cast<int64_t>(std::lround(density * static_cast<double>(blocks)));
  const int64_t kept = std::clamp(nearest, int64_t{1}, blocks);
  return {"vmoba", fmt::format("{} top-k {}", to_string(partition), kept), density,
          VmobaParams{.partition = partition, .top_k = kept}};
}

SparseSetting vmoba_threshold_setting(double density, const Partition& partition,
                                      const AttentionCall& call, Impl impl, ThreadPool& pool) {
  VmobaParams params{
      .partition = partition, .select = VmobaSelect::kThreshold, .pool = VmobaPool::kHeadGlobal};
  double low = 0, high = 1;
  for (int i = 0; i < kBisections; ++i) {
    params.threshold = (low + high) / 2;
    SparseCase candidate(call, TileShape{}, {"vmoba", "", density, params}, 0, impl, pool);
    candidate.select();
    (candidate.density() < density ? low : high) = params.threshold;
  }
  return {"vmoba", fmt::format("{} tau {:.3f}", to_string(partition), params.threshold), density,
          params};
}

std::optional<Partition> benchmark_partition(const TokenGrid& grid) {
  std::vector<Partition> candidates = default_partitions(grid);
  const auto is_3d = [](const Partition& p) { return p.kind == PartitionKind::kSpatioTemporal; };
  if (std::ranges::any_of(candidates, is_3d)) {
    std::erase_if(candidates, [&](const Partition& p) { return !is_3d(p); });
  }
  std::optional<Partition> best;
  int64_t best_blocks = 0;
  for (const Partition& candidate : candidates) {
    const int64_t blocks = partition_blocks(candidate, grid).num_tiles();
    const bool better = best_blocks < kMinBlocks ? blocks > best_blocks
                                                 : blocks >= kMinBlocks && blocks < best_blocks;
    if (!better) continue;
    best = candidate;
    best_blocks = blocks;
  }
  return best;
}

struct SparseCase::State {
  AttentionCall call;
  TileShape tile;
  SparseSetting setting;
  Impl impl;
  ThreadPool& pool;
  std::optional<PlanRule> rule;
  std::optional<TokenLayout> layout;
  BlockLists lists;

  const TokenLayout& layout_of(const TileGrid& tiles) {
    if (!layout) layout = make_token_layout(tiles, call.prefix, call.suffix);
    return *layout;
  }
};

SparseCase::SparseCase(const AttentionCall& call, const TileShape& tile, SparseSetting setting,
                       uint64_t seed, Impl impl, ThreadPool& pool)
    : state_(new State{
          .call = call, .tile = tile, .setting = std::move(setting), .impl = impl, .pool = pool}) {
  State& state = *state_;
  if (state.setting.params) {
    state.rule = PlanRule{.params = *state.setting.params};
  } else {
    const TokenLayout& layout = state.layout_of(TileGrid(call.grid, tile));
    state.lists = random_lists(call, layout, state.setting.wanted_density, seed);
  }
}

SparseCase::~SparseCase() = default;

const SparseSetting& SparseCase::setting() const { return state_->setting; }
bool SparseCase::selects() const { return state_->rule.has_value(); }
const BlockLists& SparseCase::lists() const { return state_->lists; }
double SparseCase::density() const { return mean_density(state_->lists, state_->call); }

void SparseCase::select() {
  State& state = *state_;
  if (!state.rule) return;
  const std::vector<const PlanRule*> rules(state.call.q.heads, &*state.rule);
  std::vector<SparseGroup> groups = select_heads(
      state.call, state.tile, rules,
      [&](const TileGrid& tiles) -> const TokenLayout& { return state.layout_of(tiles); },
      state.impl, state.pool);
  SPARSESCOPE_ASSERT(groups.size() == 1);  // one rule, one layout
  state.lists = std::move(groups.front().lists);
}

void SparseCase::restore(MutableAttentionTensor out) {
  const State& state = *state_;
  if (state.lists.restore_from.empty()) return;
  const AttentionCall& call = state.call;
  const int64_t video = call.grid.tokens();
  state.pool.parallel_for(call.q.batch * call.q.heads, [&](int64_t item, int) {
    restore_pruned_rows(std::span(state.lists.restore_from).subspan(item * video, video),
                        call.prefix, item / call.q.heads, item % call.q.heads, call.q.head_dim,
                        out);
  });
}

}  // namespace sparsescope
