#include "kernels/cuda/gate_reduction.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "kernels/cuda/gate_cuts.h"
#include "kernels/cuda/gate_ranks.h"
#include "kernels/cuda/gate_tables.h"
#include "kernels/cuda/gate_tally.h"
#include "kernels/cuda/multiply_rows.h"
#include "kernels/cuda/sampled_masses.h"

namespace sparsescope::cuda {
namespace {

constexpr int64_t kPoolValues = kGatePoolKinds * kGateTaus;  // of a head and partition
// What the masses of a chunk, and the sums of keys of some heads, may take.
constexpr int64_t kMassBytes = int64_t{192} << 20, kKeyBytes = int64_t{64} << 20;

}  // namespace

struct GateReduction::State {
  std::shared_ptr<const GateTables> tables;
  AttentionTensor q, k;
  cudaStream_t stream = nullptr;
  int32_t heads = 0, heads_at_once = 0;

  DeviceBuffer<float> key_means;  // [H, blocks, D]
  // Of the heads that were asked for last.
  int32_t first_head = -1, num_heads = 0;
  DeviceBuffer<float> queries;  // [heads at once, n, D]
  DeviceBuffer<float> gates;    // [heads at once, blocks, n]
  DeviceBuffer<float> own;      // [heads at once, partitions, n]
  DeviceBuffer<GatePool> pools;

  // Results (gate_ranks.h, gate_tally.h).
  DeviceBuffer<int32_t> last_at;                            // [H, blocks]
  DeviceBuffer<unsigned long long> rank_mass;               // [H, blocks]
  DeviceBuffer<unsigned long long> tau_mass, tau_tokens;    // [H, partitions, taus]
  DeviceBuffer<unsigned long long> pool_mass, pool_tokens;  // [H, partitions, kinds, taus]

  TileQueries runs_of(const AttentionTensor& tensor, const DeviceBuffer<int32_t>& order,
                      const DeviceBuffer<TileRun>& runs) const {
    return {tensor, 0, heads, order.data(), runs.data(), static_cast<int32_t>(runs.size())};
  }

  void allocate(int64_t gate_bytes);
  GateRows rows_of(int32_t first, int32_t count);
  void find_key_means();
  void find_cuts();
  template <typename Pass>
  void for_all_heads(const Pass& pass);
};

void GateReduction::State::allocate(int64_t gate_bytes) {
  const GateTables& t = *tables;
  heads = static_cast<int32_t>(q.heads);
  const int64_t bytes_of_head = int64_t{t.num_blocks} * t.num_rows * 4;
  const int64_t budget = bytes_of_head * heads <= gate_bytes ? gate_bytes : gate_bytes / 4 * 3;
  heads_at_once = static_cast<int32_t>(
      std::clamp<int64_t>(budget / std::max<int64_t>(1, bytes_of_head), 1, heads));
  key_means = {heads * t.num_blocks * k.head_dim, stream};
  queries = {heads_at_once * t.num_rows * q.head_dim, stream};
  gates = {int64_t{heads_at_once} * t.num_blocks * t.num_rows, stream};
  own = {int64_t{heads_at_once} * t.num_partitions * t.num_rows, stream};
  pools = {num_pools(t.num_partitions, t.num_blocks, heads), stream};
  const auto allocate_zeros = [&](auto& buffer, int64_t count) {
    buffer = {count, stream};
    buffer.fill_zero();
  };
  const int64_t in_partitions = int64_t{heads} * t.num_partitions;
  allocate_zeros(last_at, int64_t{heads} * t.num_blocks);
  allocate_zeros(rank_mass, int64_t{heads} * t.num_blocks);
  for (auto* buffer : {&tau_mass, &tau_tokens}) allocate_zeros(*buffer, in_partitions * kGateTaus);
  for (auto* buffer : {&pool_mass, &pool_tokens}) {
    allocate_zeros(*buffer, in_partitions * kPoolValues);
  }
}

// With gates; count is at most heads_at_once.
GateRows GateReduction::State::rows_of(int32_t first, int32_t count) {
  const GateTables& t = *tables;
  const auto D = static_cast<int32_t>(q.head_dim);
  const bool known = first >= first_head && first + count <= first_head + num_heads;
  if (first_head < 0 || !known) {
    first_head = first;
    num_heads = count;
    TileQueries call = runs_of(q, t.row_token, t.row_runs);
    call.first_head = first;
    call.num_heads = count;
    reduce_tile_means(call, 1.0, queries.data(), stream);
    multiply_rows(key_means.data() + int64_t{first} * t.num_blocks * D, t.num_blocks,
                  queries.data(), t.num_rows, count, D, gates.data(), stream);
  }
  const int64_t skipped = first - first_head;
  GateRows rows{.blocks = t.blocks.data(),
                .partition_first = t.partition_first.data(),
                .num_blocks = t.num_blocks,
                .num_partitions = t.num_partitions,
                .most_blocks = t.most_blocks,
                .num_rows = t.num_rows,
                .total_heads = heads,
                .first_head = first,
                .num_heads = count,
                .gates = gates.data() + skipped * t.num_blocks * t.num_rows,
                .own = own.data() + skipped * t.num_partitions * t.num_rows,
                .self = t.self.data()};
  if (!known) mark_own_gates(rows, stream);
  return rows;
}

template <typename Pass>
void GateReduction::State::for_all_heads(const Pass& pass) {
  for (int32_t first = 0; first < heads; first += heads_at_once) {
    pass(rows_of(first, std::min(heads_at_once, heads - first)));
  }
}

void GateReduction::State::find_key_means() {
  const GateTables& t = *tables;
  const int64_t values_of_head = t.num_runs * k.head_dim;
  const auto most = static_cast<int32_t>(std::clamp<int64_t>(
      kKeyBytes / (values_of_head * static_cast<int64_t>(sizeof(double))), 1, heads));
  DeviceBuffer<double> run_sums(most * values_of_head, stream);
  const KeyRuns runs{t.key_token.data(), t.key_runs.data(), t.num_runs};
  const BlockRuns of_blocks{t.runs_first.data(), t.runs.data(), t.num_blocks, t.num_runs};
  const auto D = static_cast<int32_t>(k.head_dim);
  for (int32_t first = 0; first < heads; first += most) {
    const int32_t count = std::min(most, heads - first);
    sum_key_runs(k, first, count, runs, run_sums.data(), stream);
    mean_of_runs(run_sums.data(), of_blocks, t.blocks.data(), count, D,
                 key_means.data() + int64_t{first} * t.num_blocks * D, stream);
  }
}

void GateReduction::State::find_cuts() {
  const GateTables& t = *tables;
  find_key_means();
  DeviceBuffer<GateRange> ranges(int64_t{heads} * t.num_blocks, stream);
  for_all_heads([&](const GateRows& rows) { find_gate_ranges(rows, ranges.data(), stream); });
  make_gate_pools(rows_of(first_head, num_heads), ranges.data(), pools.data(), stream);
  DeviceBuffer<unsigned long long> weights(pools.size() * kGateHistogram, stream);
  for (const GateLevel& level : kGateLevels) {
    weights.fill_zero();
    for_all_heads([&](const GateRows& rows) {
      count_gates(rows, level, pools.data(), weights.data(), stream);
    });
    locate_cuts(static_cast<int32_t>(pools.size()), level, weights.data(), pools.data(), stream);
  }
}

GateReduction::GateReduction(std::shared_ptr<const GateTables> tables, const AttentionTensor& q,
                             const AttentionTensor& k, int64_t gate_bytes)
    : state_(new State{.tables = std::move(tables), .q = q, .k = k}) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, q.head_dim <= kMaxReducedHeadDim,
                    "CUDA: statistics of attention: expected a head dim of at most {}, found {}",
                    kMaxReducedHeadDim, q.head_dim);
  state_->allocate(gate_bytes);
  state_->find_cuts();
}

GateReduction::~GateReduction() = default;

int32_t GateReduction::heads_at_once() const { return state_->heads_at_once; }

void GateReduction::reduce_rows(const float* lse, float scale) {
  const State& state = *state_;
  for_mass_chunks({.q = state.q,
                   .k = state.k,
                   .lse = lse,
                   .scale = scale,
                   .max_heads = state.heads_at_once,
                   .max_bytes = kMassBytes},
                  *state.tables, state.stream,
                  [&](const BlockMassChunk& chunk) { consume(chunk); });
}

void GateReduction::consume(const BlockMassChunk& chunk) {
  State& state = *state_;
  const GateTables& t = *state.tables;
  const BlockParts parts{t.parts_first.data(), t.parts.data(), t.num_blocks};
  for (size_t depth = 1; depth < t.lists.size(); ++depth) {
    const int32_t first = t.lists[depth - 1];
    sum_finer_masses(parts, {t.listed.data() + first, t.lists[depth] - first}, chunk.num_heads,
                     chunk.num_rows, chunk.row_stride, chunk.masses, state.stream);
  }
  const GateRows rows = state.rows_of(chunk.first_head, chunk.num_heads);
  tally_pools(rows, state.pools.data(), chunk, {state.pool_mass.data(), state.pool_tokens.data()},
              state.stream);
  rank_gates(rows, t.partitions_on_host, chunk,
             {state.rank_mass.data(), state.last_at.data(), state.tau_mass.data(),
              state.tau_tokens.data()},
             state.stream);
}

std::vector<std::vector<ReducedGates>> GateReduction::finish() {
  State& state = *state_;
  const GateTables& t = *state.tables;
  const auto rank_mass = to_host(state.rank_mass, state.stream);
  const auto tau_mass = to_host(state.tau_mass, state.stream);
  const auto tau_tokens = to_host(state.tau_tokens, state.stream);
  const auto last_at = to_host(state.last_at, state.stream);
  const auto pool_mass = to_host(state.pool_mass, state.stream);
  const auto pool_tokens = to_host(state.pool_tokens, state.stream);
  std::vector<std::vector<ReducedGates>> heads(state.heads);
  for (int64_t h = 0; h < state.heads; ++h) {
    for (int32_t p = 0, first = 0; p < t.num_partitions; ++p) {
      ReducedGates& gates = heads[h].emplace_back();
      const GateBlock& block = t.blocks_on_host[first];
      const double missing = block.size - t.blocks_on_host[first + block.num_blocks - 1].size;
      double mass = 0.0, tokens = 0.0;
      for (int32_t c = first; c < first + block.num_blocks; ++c) {
        mass += static_cast<double>(rank_mass[h * t.num_blocks + c]) * kRankUnit;
        tokens += double{1} * t.num_rows * block.size - missing * last_at[h * t.num_blocks + c];
        gates.topk_mass.push_back(mass);
        gates.topk_tokens.push_back(tokens);
      }
      for (int tau = 0; tau < kGateTaus; ++tau) {
        const int64_t at = (h * t.num_partitions + p) * kGateTaus + tau;
        gates.tau_mass.push_back(static_cast<double>(tau_mass[at]) * kRankUnit);
        gates.tau_tokens.push_back(static_cast<double>(tau_tokens[at]));
      }
      for (int kind = 0; kind < kGatePoolKinds; ++kind) {
        unsigned long long kept_mass = 0, kept_tokens = 0;
        for (int tau = 0; tau < kGateTaus; ++tau) {
          const int64_t at = (h * t.num_partitions + p) * kPoolValues + kind * kGateTaus + tau;
          kept_mass += pool_mass[at];
          kept_tokens += pool_tokens[at];
          gates.tau_mass.push_back(static_cast<double>(kept_mass) * kTallyUnit);
          gates.tau_tokens.push_back(static_cast<double>(kept_tokens));
        }
      }
      first += block.num_blocks;
    }
  }
  return heads;
}

}  // namespace sparsescope::cuda
