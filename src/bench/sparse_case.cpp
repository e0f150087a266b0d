#include "bench/sparse_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "kernels/cuda/device_array.h"
#include "sparse/device_groups.h"
#include "sparse/head_lists.h"
#include "sparse/selected_group.h"

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

namespace {

// Lists that were made on the host, copied to where a call's tensors lie.
class PlacedLists {
 public:
  PlacedLists(BlockLists lists, MemorySpace space) : lists_(std::move(lists)), space_(space) {
    if (space == MemorySpace::kHost) return;
    key_order_ = cuda::DeviceArray<int32_t>(lists_.key_order);
    ranges_ = cuda::DeviceArray<KeyRange>(lists_.ranges);
    rows_ = cuda::DeviceArray<int32_t>(lists_.rows);
    range_ids_ = cuda::DeviceArray<int32_t>(lists_.range_ids);
    items_ = cuda::DeviceArray<SparseItem>(lists_.items);
    strands_ = cuda::DeviceArray<SparseStrand>(lists_.strands);
  }

  const BlockLists& on_host() const { return lists_; }
  SparseSelection view() const {
    SparseSelection view = lists_.view();
    if (space_ == MemorySpace::kHost) return view;
    view.key_order = key_order_.data();
    view.ranges = ranges_.data();
    view.rows = rows_.data();
    view.range_ids = range_ids_.data();
    view.items = items_.data();
    view.strands = strands_.data();
    view.space = space_;
    return view;
  }

 private:
  BlockLists lists_;
  MemorySpace space_;
  cuda::DeviceArray<int32_t> key_order_, rows_, range_ids_;
  cuda::DeviceArray<KeyRange> ranges_;
  cuda::DeviceArray<SparseItem> items_;
  cuda::DeviceArray<SparseStrand> strands_;
};

}  // namespace

struct SparseCase::State {
  AttentionCall call;
  TileShape tile;
  SparseSetting setting;
  Impl impl;
  ThreadPool& pool;
  DeviceSelectors device_selectors;
  std::optional<PlanRule> rule;
  std::shared_ptr<const TokenLayout> layout;
  std::optional<PlacedLists> random;
  SelectedGroups groups;  // of the last selection

  std::shared_ptr<const TokenLayout> layout_of(const TileGrid& tiles) {
    if (!layout) {
      layout = std::make_shared<TokenLayout>(make_token_layout(tiles, call.prefix, call.suffix));
    }
    return layout;
  }
};

SparseCase::SparseCase(const AttentionCall& call, const TileShape& tile, SparseSetting setting,
                       uint64_t seed, Impl impl, ThreadPool& pool)
    : state_(new State{.call = call,
                       .tile = tile,
                       .setting = std::move(setting),
                       .impl = impl,
                       .pool = pool,
                       .device_selectors = DeviceSelectors(host_impl(impl), pool)}) {
  State& state = *state_;
  if (state.setting.params) {
    state.rule = PlanRule{.params = *state.setting.params};
  } else {
    const auto layout = state.layout_of(TileGrid(call.grid, tile));
    state.random.emplace(random_lists(call, *layout, state.setting.wanted_density, seed),
                         call.q.space);
  }
}

SparseCase::~SparseCase() = default;

const SparseSetting& SparseCase::setting() const { return state_->setting; }
bool SparseCase::selects() const { return state_->rule.has_value(); }

SparseSelection SparseCase::lists() const {
  return state_->random ? state_->random->view() : state_->groups.front()->view();
}

BlockLists SparseCase::host_lists() const {
  return state_->random ? state_->random->on_host() : state_->groups.front()->to_host();
}

double SparseCase::density() const {
  const AttentionTensor& q = state_->call.q;
  if (state_->random) return mean_density(state_->random->on_host(), state_->call);
  std::vector<double> of_head(q.heads);
  state_->groups.front()->add_density(of_head);
  return std::reduce(of_head.begin(), of_head.end()) / static_cast<double>(q.heads * q.batch);
}

void SparseCase::select() {
  State& state = *state_;
  if (!state.rule) return;
  const std::vector<const PlanRule*> rules(state.call.q.heads, &*state.rule);
  const GroupingCall grouping{state.call, state.tile, rules,
                              [&](const TileGrid& tiles) { return state.layout_of(tiles); }};
  state.groups.clear();
  state.groups = select_groups(grouping, state.device_selectors, state.impl, state.pool);
  SPARSESCOPE_ASSERT(state.groups.size() == 1);  // one rule, one layout
}

RowCopies SparseCase::copies() const {
  return state_->random ? RowCopies{} : state_->groups.front()->copies();
}

void SparseCase::restore(MutableAttentionTensor out) {
  if (!state_->random && state_->groups.front()->restores_apart()) {
    state_->groups.front()->restore(out);
  }
}

}  // namespace sparsescope
