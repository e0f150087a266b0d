#include "kernels/cuda/gate_reduction.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "kernels/cuda/gate_cuts.h"
#include "kernels/cuda/gate_ranks.h"
#include "kernels/cuda/gate_tables.h"
#include "kernels/cuda/multiply_rows.h"
#include "kernels/cuda/reduce_masses.h"
#include "kernels/cuda/reduce_sums.h"

namespace sparsescope::cuda {
namespace {

constexpr double kMassUnit = 1.0 / (1 << 27);

constexpr int64_t kTauValues = 2 * kGateTaus;                // mass and tokens
constexpr int64_t kPoolValues = kGatePoolKinds * kGateTaus;  // of a head and partition
// What the rows of a chunk may take, of as many heads at a time as fit.
constexpr int64_t kRowBytes = int64_t{128} << 20;
constexpr int32_t kScratchRows = 16;  // sorted at a time in global memory, of a head and partition

MassChunk heads_of(const MassChunk& chunk, int32_t first, int32_t count) {
  const int64_t lines = int64_t{first} * chunk.num_row_blocks * kRowLanes;
  MassChunk heads = chunk;
  heads.first_head += first;
  heads.num_heads = count;
  heads.piece_sums += lines * chunk.num_pieces;
  heads.row_factor += lines;
  heads.lse += lines;
  heads.entropy += lines;
  heads.bins += lines * chunk.num_bins;
  return heads;
}

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

  DeviceBuffer<int32_t> piece_first;                        // [cells + 1]
  DeviceBuffer<double> sums;                                // [H, blocks + partitions * kTauValues]
  DeviceBuffer<int32_t> last_at;                            // [H, blocks]
  DeviceBuffer<unsigned long long> pool_mass, pool_tokens;  // [H, partitions, kinds, taus]

  int64_t sums_of_head() const { return tables->num_blocks + tables->num_partitions * kTauValues; }
  TileQueries runs_of(const AttentionTensor& tensor, const DeviceBuffer<int32_t>& order,
                      const DeviceBuffer<TileRun>& runs) const {
    return {tensor, 0, heads, order.data(), runs.data(), static_cast<int32_t>(runs.size())};
  }

  void allocate(int64_t gate_bytes);
  GateRows rows_of(int32_t first, int32_t count);
  void find_cuts();
  template <typename Pass>
  void for_all_heads(const Pass& pass);
  void reduce(const MassChunk& chunk, int32_t first_row, int32_t num_rows);
  void rank(const GateRows& rows, const float* masses, int32_t first_row, int32_t num_rows);
};

void GateReduction::State::allocate(int64_t gate_bytes) {
  const GateTables& t = *tables;
  heads = static_cast<int32_t>(q.heads);
  const int64_t bytes_of_head = int64_t{t.num_blocks} * t.num_rows * 4;
  const int64_t budget = bytes_of_head * heads <= gate_bytes ? gate_bytes : gate_bytes / 4;
  heads_at_once = static_cast<int32_t>(
      std::clamp<int64_t>(budget / std::max<int64_t>(1, bytes_of_head), 1, heads));
  key_means = {heads * t.num_blocks * k.head_dim, stream};
  queries = {heads_at_once * t.num_rows * q.head_dim, stream};
  gates = {int64_t{heads_at_once} * t.num_blocks * t.num_rows, stream};
  own = {int64_t{heads_at_once} * t.num_partitions * t.num_rows, stream};
  pools = {num_pools(t.num_partitions, t.num_blocks, heads), stream};
  piece_first = {t.num_cells + 1, stream};
  sums = {heads * sums_of_head(), stream};
  sums.fill_zero();
  last_at = {int64_t{heads} * t.num_blocks, stream};
  last_at.fill_zero();
  pool_mass = {heads * t.num_partitions * kPoolValues, stream};
  pool_mass.fill_zero();
  pool_tokens = {heads * t.num_partitions * kPoolValues, stream};
  pool_tokens.fill_zero();
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

void GateReduction::State::find_cuts() {
  const GateTables& t = *tables;
  reduce_tile_means(runs_of(k, t.key_token, t.block_runs), 1.0, key_means.data(), stream);
  DeviceBuffer<GateRange> ranges(int64_t{heads} * t.num_blocks, stream);
  for_all_heads([&](const GateRows& rows) { find_gate_ranges(rows, ranges.data(), stream); });
  make_gate_pools(rows_of(first_head, num_heads), ranges.data(), pools.data(), stream);
  DeviceBuffer<unsigned long long> counts(pools.size() * kGateHistogram, stream),
      weights(pools.size() * kGateHistogram, stream);
  const GateHistograms histograms{counts.data(), weights.data()};
  for (const GateLevel& level : kGateLevels) {
    counts.fill_zero();
    weights.fill_zero();
    for_all_heads(
        [&](const GateRows& rows) { count_gates(rows, level, pools.data(), histograms, stream); });
    locate_cuts(static_cast<int32_t>(pools.size()), level, histograms, pools.data(), stream);
  }
}

void GateReduction::State::rank(const GateRows& rows, const float* masses, int32_t first_row,
                                int32_t num_rows) {
  const GateTables& t = *tables;
  const int64_t row_bytes = rank_bytes(t.most_blocks);
  const int32_t rows_apart = t.num_partitions * rows.num_heads;
  const bool in_shared = row_bytes <= kMaxRankBytes;
  DeviceBuffer<uint8_t> scratch(in_shared ? 0 : rows_apart * kScratchRows * row_bytes, stream);
  DeviceBuffer<float> ranked(int64_t{rows.num_heads} * num_rows * t.num_blocks, stream);
  DeviceBuffer<double> by_tau(int64_t{rows_apart} * num_rows * kTauValues, stream);
  rank_gates({.rows = rows,
              .masses = masses,
              .first_row = first_row,
              .num_rows = num_rows,
              .scratch = scratch.data(),
              .scratch_blocks = rows_apart * kScratchRows,
              .ranked = ranked.data(),
              .last_at = last_at.data(),
              .by_tau = by_tau.data()},
             stream);
  const HeadSumsOut out{sums.data() + rows.first_head * sums_of_head(), sums_of_head()};
  sum_rows(ranked.data(), rows.num_heads, num_rows, t.num_blocks, out, stream);
  sum_rows(by_tau.data(), rows.num_heads, num_rows,
           static_cast<int32_t>(t.num_partitions * kTauValues),
           {out.out + t.num_blocks, out.stride}, stream);
}

// chunk: of row blocks with sampled rows alone, and of no more heads than gates are held of.
void GateReduction::State::reduce(const MassChunk& chunk, int32_t first_row, int32_t num_rows) {
  const GateTables& t = *tables;
  DeviceBuffer<float> masses(int64_t{chunk.num_heads} * t.num_blocks * num_rows, stream);
  const BlockParts parts{t.parts_first.data(), t.parts.data(), t.num_blocks};
  sum_cell_masses(chunk, t.row_blocks.data(), piece_first.data(), parts,
                  {t.listed.data(), t.lists[0]}, first_row, num_rows, masses.data(), stream);
  for (size_t depth = 1; depth < t.lists.size(); ++depth) {
    const int32_t first = t.lists[depth - 1];
    sum_finer_masses(parts, {t.listed.data() + first, t.lists[depth] - first}, chunk.num_heads,
                     num_rows, masses.data(), stream);
  }
  const GateRows rows = rows_of(chunk.first_head, chunk.num_heads);
  tally_pools(rows, pools.data(), masses.data(), first_row, num_rows,
              {pool_mass.data(), pool_tokens.data()}, stream);
  rank(rows, masses.data(), first_row, num_rows);
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

void GateReduction::consume(const MassChunk& chunk, void* stream) {
  State& state = *state_;
  const auto& row_blocks = state.tables->row_blocks_on_host;
  const int64_t end =
      std::min<int64_t>(chunk.first_row_block + chunk.num_row_blocks, std::ssize(row_blocks));
  if (end <= chunk.first_row_block) return;
  SPARSESCOPE_ASSERT(end == chunk.first_row_block + chunk.num_row_blocks);
  state.stream = static_cast<cudaStream_t>(stream);
  const RowBlock& last = row_blocks[end - 1];
  const int32_t first_row = row_blocks[chunk.first_row_block].first;
  const int32_t num_rows = last.first + last.count - first_row;
  const GateTables& t = *state.tables;
  find_first_pieces(chunk, t.cell_number.data(), t.num_cells + 1, state.piece_first.data(),
                    state.stream);
  // Masses as they are and by rank, and what the taus keep.
  const int64_t row_bytes = t.num_blocks * 8 + t.num_partitions * kTauValues * 8;
  const auto heads = static_cast<int32_t>(
      std::clamp<int64_t>(kRowBytes / (num_rows * row_bytes), 1, state.heads_at_once));
  for (int32_t h = 0; h < chunk.num_heads; h += heads) {
    state.reduce(heads_of(chunk, h, std::min(heads, chunk.num_heads - h)), first_row, num_rows);
  }
}

std::vector<std::vector<ReducedGates>> GateReduction::finish() {
  State& state = *state_;
  const GateTables& t = *state.tables;
  const auto sums = to_host(state.sums, state.stream);
  const auto last_at = to_host(state.last_at, state.stream);
  const auto pool_mass = to_host(state.pool_mass, state.stream);
  const auto pool_tokens = to_host(state.pool_tokens, state.stream);
  std::vector<std::vector<ReducedGates>> heads(state.heads);
  for (int64_t h = 0; h < state.heads; ++h) {
    const double* of_head = &sums[h * state.sums_of_head()];
    for (int32_t p = 0, first = 0; p < t.num_partitions; ++p) {
      ReducedGates& gates = heads[h].emplace_back();
      const GateBlock& block = t.blocks_on_host[first];
      const double missing = block.size - t.blocks_on_host[first + block.num_blocks - 1].size;
      double mass = 0.0, tokens = 0.0;
      for (int32_t c = first; c < first + block.num_blocks; ++c) {
        mass += of_head[c];
        tokens += double{1} * t.num_rows * block.size - missing * last_at[h * t.num_blocks + c];
        gates.topk_mass.push_back(mass);
        gates.topk_tokens.push_back(tokens);
      }
      const double* by_tau = of_head + t.num_blocks + p * kTauValues;
      gates.tau_mass.assign(by_tau, by_tau + kGateTaus);
      gates.tau_tokens.assign(by_tau + kGateTaus, by_tau + kTauValues);
      for (int kind = 0; kind < kGatePoolKinds; ++kind) {
        unsigned long long kept_mass = 0, kept_tokens = 0;
        for (int tau = 0; tau < kGateTaus; ++tau) {
          const int64_t at = (h * t.num_partitions + p) * kPoolValues + kind * kGateTaus + tau;
          kept_mass += pool_mass[at];
          kept_tokens += pool_tokens[at];
          gates.tau_mass.push_back(static_cast<double>(kept_mass) * kMassUnit);
          gates.tau_tokens.push_back(static_cast<double>(kept_tokens));
        }
      }
      first += block.num_blocks;
    }
  }
  return heads;
}

}  // namespace sparsescope::cuda
