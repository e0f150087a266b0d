#include "effects/selection_effects.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include "capture/call_layout.h"
#include "capture/gate_cuts.h"
#include "capture/key_means.h"
#include "capture/reducers/head_sums.h"
#include "core/rng.h"
#include "effects/cell_attention.h"
#include "effects/gate_ladders.h"
#include "effects/ladder.h"
#include "effects/tile_ladders.h"

namespace sparsescope {
namespace {

constexpr int64_t kCellBudgetBytes = int64_t{64} << 20;  // of the outputs on cells at a time

void add_to(std::vector<double>& sums, const std::vector<double>& more) {
  sums.resize(std::max(sums.size(), more.size()));
  std::transform(more.begin(), more.end(), sums.begin(), sums.begin(), std::plus<>());
}

void merge(LadderSums& sums, const LadderSums& more) {
  add_to(sums.error, more.error);
  add_to(sums.change, more.change);
}

void merge(std::vector<LadderSums>& sums, const std::vector<LadderSums>& more) {
  sums.resize(more.size());
  for (size_t i = 0; i < more.size(); ++i) merge(sums[i], more[i]);
}

void merge(HeadEffects& sums, const HeadEffects& more) {
  sums.norm += more.norm;
  sums.error_rows += more.error_rows;
  merge(sums.pooled, more.pooled);
  merge(sums.bsa, more.bsa);
  merge(sums.bsa_unpruned, more.bsa_unpruned);
  merge(sums.top_k, more.top_k);
  merge(sums.thresholds, more.thresholds);
}

struct CallContext {
  const AttentionCall& call;
  const CallLayout& layout;
  const std::vector<TileLadders>& tiles;  // [H]
  const GateSelection& gates;
  const RowStatsKernels& kernels;
  std::span<const std::vector<float>> directions;

  int64_t num_directions() const { return std::ssize(directions); }
  const float* out_of(int64_t head, int32_t token) const {
    return call.out.data + head * call.out.stride_head + token * call.out.stride_token;
  }
  const float* direction_of(int64_t j, int64_t head, int32_t token) const {
    return &directions[j][(head * call.q.tokens + token) * call.q.head_dim];
  }
};

// What is wanted of a query tile, and where its rows stand.
struct TileTask {
  int32_t tile = 0;
  bool errors = false, changes = false;
  int64_t first_row = 0;  // in the attention on cells at hand
};

// Adds up the effects of query tiles of one head. One object a worker.
class TileMeter {
 public:
  explicit TileMeter(const CallContext& context)
      : context_(context),
        gate_ladders_(context.layout, context.call.q, context.gates, context.kernels) {}

  void add(int64_t head, const TileTask& task, std::span<const int32_t> tokens,
           int32_t first_number, const CellAttention& cells, HeadEffects& sums) {
    head_ = head;
    task_ = task;
    tokens_ = tokens;
    sums_ = &sums;
    base_.assign(context_.num_directions(), 0.0);
    const auto count = std::ssize(tokens);
    for (int64_t row = 0; row < count; ++row) {
      if (row % kRowLanes == 0) load_gates(first_number, row, count);
      load_row(cells, row);
      add_tile_ladder(row_, context_.tiles[head].vsa, own_target(row), sums.pooled);
      add_tile_ladder(row_, context_.tiles[head].bsa_unpruned, own_target(row), sums.bsa_unpruned);
      add_blocks(row);
    }
    add_pruned(cells);
    subtract_base();
  }

 private:
  bool changes() const { return task_.changes && context_.num_directions() > 0; }

  std::span<const float* const> own_target(int64_t row) {
    own_ = context_.out_of(head_, tokens_[row]);
    return {&own_, 1};
  }

  void load_gates(int32_t first_number, int64_t row, int64_t count) {
    if (context_.layout.partitions.empty()) return;
    numbers_.resize(std::min<int64_t>(kRowLanes, count - row));
    std::iota(numbers_.begin(), numbers_.end(), first_number + static_cast<int32_t>(row));
    gate_ladders_.load(head_, numbers_);
  }

  void load_row(const CellAttention& cells, int64_t row) {
    const int64_t head_dim = context_.call.q.head_dim;
    const int32_t token = tokens_[row];
    const float* out = context_.out_of(head_, token);
    direction_.clear();
    if (changes()) {
      for (int64_t j = 0; j < context_.num_directions(); ++j) {
        direction_.push_back(context_.direction_of(j, head_, token));
        base_[j] += std::inner_product(out, out + head_dim, direction_.back(), 0.0);
      }
    }
    if (task_.errors) {
      sums_->norm += std::inner_product(out, out + head_dim, out, 0.0);
      ++sums_->error_rows;
    }
    const int64_t at = task_.first_row + row;
    load_parts(cells.out_of(at), cells.lse_of(at), cells.cells, head_dim, direction_, task_.errors,
               row_);
  }

  void add_walk(const RowParts& parts, std::span<const int32_t> level, int64_t steps, int64_t first,
                int64_t all_steps, std::span<const float* const> targets, LadderSums& sums) {
    level_.assign(level.begin(), level.end());
    level_.resize(parts.parts(), 0);  // text is always kept
    walk_.start(parts, level_, steps);
    if (changes()) {
      dots_.assign(context_.num_directions() * steps, 0.0);
      walk_.add_dots(dots_.data());
      sums.change.resize(context_.num_directions() * all_steps);
      for (int64_t j = 0; j < context_.num_directions(); ++j) {
        for (int64_t g = 0; g < steps; ++g) {
          sums.change[j * all_steps + first + g] += dots_[j * steps + g];
        }
      }
    }
    if (task_.errors) {
      sums.error.resize(all_steps);
      walk_.add_errors(targets, &sums.error[first]);
    }
  }

  void add_tile_ladder(const RowParts& parts, const std::vector<int32_t>& levels,
                       std::span<const float* const> targets, LadderSums& sums) {
    const TileLadders& ladders = context_.tiles[head_];
    const std::span<const int32_t> of_tile = ladders.row(levels, task_.tile);
    of_cell_.resize(context_.layout.tile_of_cell.size());
    std::transform(context_.layout.tile_of_cell.begin(), context_.layout.tile_of_cell.end(),
                   of_cell_.begin(), [&](int32_t tile) { return of_tile[tile]; });
    add_walk(parts, of_cell_, ladders.num_steps, 0, ladders.num_steps, targets, sums);
  }

  void add_blocks(int64_t row) {
    const auto& partitions = context_.layout.partitions;
    const int64_t lane = row % kRowLanes;
    sums_->top_k.resize(partitions.size());
    sums_->thresholds.resize(partitions.size());
    for (int64_t p = 0; p < std::ssize(partitions); ++p) {
      fold_parts(row_, context_.layout.cells.block_of_cell[p], partitions[p].blocks, folded_);
      add_walk(folded_, gate_ladders_.top_k(p, lane), partitions[p].blocks, 0, partitions[p].blocks,
               own_target(row), sums_->top_k[p]);
      for (int64_t pool = 0; pool < kGatePools; ++pool) {
        add_walk(folded_, gate_ladders_.thresholds(p, pool, lane), kNumTaus, pool * kNumTaus,
                 kGatePools * kNumTaus, own_target(row), sums_->thresholds[p]);
      }
    }
  }

  // Every kept query stands for itself and the pruned ones that take its output.
  void add_pruned(const CellAttention& cells) {
    const BsaSelection& selection = context_.tiles[head_].pruned;
    const int64_t head_dim = context_.call.q.head_dim;
    for (const int32_t slot : selection.kept.of(task_.tile)) {
      targets_.clear();
      summed_.assign(context_.num_directions() * head_dim, 0.0f);
      for (const int32_t token : tokens_) {
        if (selection.restore_from[token - context_.layout.prefix] != tokens_[slot]) continue;
        targets_.push_back(context_.out_of(head_, token));
        if (!changes()) continue;
        for (int64_t j = 0; j < context_.num_directions(); ++j) {
          const float* direction = context_.direction_of(j, head_, token);
          std::transform(direction, direction + head_dim, &summed_[j * head_dim],
                         &summed_[j * head_dim], std::plus<>());
        }
      }
      direction_.clear();
      for (int64_t j = 0; changes() && j < context_.num_directions(); ++j) {
        direction_.push_back(&summed_[j * head_dim]);
      }
      const int64_t at = task_.first_row + slot;
      load_parts(cells.out_of(at), cells.lse_of(at), cells.cells, head_dim, direction_,
                 task_.errors, row_);
      add_tile_ladder(row_, context_.tiles[head_].bsa, targets_, sums_->bsa);
    }
  }

  // The changes were counted from nothing so far.
  void subtract_base() {
    if (!changes()) return;
    const auto subtract = [&](LadderSums& sums) {
      const int64_t steps = std::ssize(sums.change) / context_.num_directions();
      for (int64_t i = 0; i < std::ssize(sums.change); ++i) sums.change[i] -= base_[i / steps];
    };
    for (LadderSums* sums : {&sums_->pooled, &sums_->bsa, &sums_->bsa_unpruned}) subtract(*sums);
    for (LadderSums& sums : sums_->top_k) subtract(sums);
    for (LadderSums& sums : sums_->thresholds) subtract(sums);
  }

  const CallContext& context_;
  GateLadders gate_ladders_;
  int64_t head_ = 0;
  TileTask task_;
  std::span<const int32_t> tokens_;  // of the tile, in (t, h, w) order
  HeadEffects* sums_ = nullptr;
  std::vector<double> base_;  // [directions] <direction, out> over the tile's rows
  RowParts row_, folded_;
  LadderWalk walk_;
  const float* own_ = nullptr;
  std::vector<const float*> direction_, targets_;
  std::vector<int32_t> numbers_, of_cell_, level_;
  std::vector<float> summed_;  // [directions, D]
  std::vector<double> dots_;   // [directions, steps]
};

std::vector<TileTask> tile_tasks(const EffectRows& rows) {
  std::vector<int32_t> tiles;
  std::set_union(rows.error_tiles.begin(), rows.error_tiles.end(), rows.change_tiles.begin(),
                 rows.change_tiles.end(), std::back_inserter(tiles));
  std::vector<TileTask> tasks;
  for (const int32_t tile : tiles) {
    tasks.push_back(
        {.tile = tile,
         .errors = std::binary_search(rows.error_tiles.begin(), rows.error_tiles.end(), tile),
         .changes = std::binary_search(rows.change_tiles.begin(), rows.change_tiles.end(), tile)});
  }
  return tasks;
}

}  // namespace

struct SelectionEffects::State {
  TileShape tile;
  std::vector<Partition> partitions;
  Impl impl;
  ThreadPool& pool;
  std::optional<CallShape> shape;  // that the layouts are for
  std::optional<CallLayout> layout;
  std::optional<TokenLayout> tokens;
  std::vector<int32_t> first_number;  // [N] of each tile's rows in the row order
  GateMemory gate_memory;

  void enter(const CallShape& wanted) {
    if (shape && *shape == wanted) return;
    layout.emplace(make_call_layout(wanted, tile, partitions, 0, 0));
    tokens.emplace(make_token_layout(TileGrid(wanted.grid, tile), wanted.prefix, wanted.suffix));
    first_number.resize(layout->num_tiles);
    for (const TileRows& rows : layout->rows.tiles) first_number[rows.tile] = rows.first;
    shape = wanted;
  }

  // The tasks from `first` on whose outputs on cells fit the budget; one at least.
  size_t batch_end(const std::vector<TileTask>& tasks, size_t first, int64_t row_bytes) const {
    int64_t bytes = 0;
    size_t end = first;
    for (; end < tasks.size(); ++end) {
      bytes += std::ssize(tokens->tokens_of(tasks[end].tile)) * row_bytes;
      if (end > first && bytes > kCellBudgetBytes) break;
    }
    return end;
  }

  void measure_head(const CallContext& context, int64_t head, std::vector<TileTask>& tasks,
                    std::vector<TileMeter>& meters, HeadEffects& result) {
    const int64_t row_bytes = std::ssize(layout->cells.cells) * context.call.q.head_dim *
                              static_cast<int64_t>(sizeof(float));
    CellAttention cells;
    std::vector<HeadEffects> parts;
    for (size_t first = 0; first < tasks.size();) {
      const size_t end = batch_end(tasks, first, row_bytes);
      std::vector<int32_t> rows;
      for (size_t i = first; i < end; ++i) {
        const std::span<const int32_t> of_tile = tokens->tokens_of(tasks[i].tile);
        tasks[i].first_row = std::ssize(rows);
        rows.insert(rows.end(), of_tile.begin(), of_tile.end());
      }
      attend_cells(context.call, head, layout->cells, rows, impl, pool, cells);
      parts.assign(end - first, {});
      pool.parallel_for(std::ssize(parts), [&](int64_t i, int worker) {
        const TileTask& task = tasks[first + i];
        meters[worker].add(head, task, tokens->tokens_of(task.tile), first_number[task.tile], cells,
                           parts[i]);
      });
      for (const HeadEffects& part : parts) merge(result, part);
      first = end;
    }
  }
};

SelectionEffects::SelectionEffects(const TileShape& tile, std::vector<Partition> partitions,
                                   Impl impl, ThreadPool& pool)
    : state_(new State{
          .tile = tile, .partitions = std::move(partitions), .impl = impl, .pool = pool}) {}

SelectionEffects::~SelectionEffects() = default;

std::vector<HeadEffects> SelectionEffects::measure(const AttentionCall& call,
                                                   const EffectRows& rows,
                                                   std::span<const std::vector<float>> directions) {
  State& state = *state_;
  state.enter({call.grid, call.prefix, call.suffix});
  const RowStatsKernels& kernels = row_stats_kernels(state.impl);
  const KeyMeans means = compute_key_means(call.k, *state.layout, kernels, state.pool);
  GateSelection gates;
  if (!state.partitions.empty()) {
    gates = find_gate_cuts(call.q, *state.layout, means, kernels, state.pool, kGateBudgetBytes,
                           &state.gate_memory);
  }
  const std::vector<TileLadders> tiles = make_tile_ladders(
      {.q = call.q, .k = call.k, .scale = call.scale, .layout = &*state.tokens, .impl = state.impl},
      state.pool);
  const CallContext context{call, *state.layout, tiles, gates, kernels, directions};
  std::vector<TileMeter> meters(state.pool.size(), TileMeter(context));
  std::vector<TileTask> tasks = tile_tasks(rows);
  std::vector<HeadEffects> heads(call.q.heads);
  for (int64_t head = 0; head < call.q.heads; ++head) {
    state.measure_head(context, head, tasks, meters, heads[head]);
  }
  if (gates.store) state.gate_memory.gates = gates.store->take_memory();
  return heads;
}

std::vector<int32_t> sample_tiles(int64_t num_tiles, int64_t count, uint64_t key) {
  count = std::min(count, num_tiles);
  std::vector<int32_t> tiles;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = i * num_tiles / count, end = (i + 1) * num_tiles / count;
    tiles.push_back(static_cast<int32_t>(
        first + static_cast<int64_t>(uniform(key, i) * static_cast<double>(end - first))));
  }
  return tiles;
}

}  // namespace sparsescope
