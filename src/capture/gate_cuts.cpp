#include "capture/gate_cuts.h"

#include <algorithm>

#include "capture/cut_lists.h"

namespace sparsescope {
namespace {

std::vector<GateBins> make_bins(const GateStore& store, int64_t heads, const CallLayout& layout) {
  // A block pool holds an entry of every row of every head.
  const int32_t num_bins = choose_gate_bins(heads * layout.sampled.size());
  std::vector<GateBins> bins;
  for (const PartitionLayout& partition : layout.partitions) {
    GateRange all;
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t c = 0; c < partition.blocks; ++c)
        all += store.range(h, partition.first_block + c);
    }
    const int64_t entries = heads * (partition.blocks - 1) * layout.sampled.size();
    bins.push_back(make_gate_bins(all.finite, entries, num_bins));
  }
  return bins;
}

// What the steps of one call share.
struct Search {
  const CallLayout& layout;
  const RowStatsKernels& kernels;
  ThreadPool& pool;
  const GateStore& store;
  int64_t heads;
  std::vector<GateBins> bins;              // [partitions]
  std::vector<PartitionPools> pools;       // [partitions]
  std::vector<PieceFlags> flags;           // [pieces]
  std::vector<std::vector<GateCut>> cuts;  // [partitions][pools, tau]
};

// Into the first of the tallies.
void tally_gates(const Search& search, std::vector<GateTally>& tallies) {
  tallies.resize(search.pool.size());
  for (GateTally& tally : tallies)
    tally.reset(search.heads, search.layout, search.bins[0].num_bins);
  std::vector<std::vector<float>> scratch(search.pool.size());
  search.pool.parallel_for(search.store.num_pieces(), [&](int64_t idx, int worker) {
    tallies[worker].add(search.store.piece(idx), search.store.read(idx, scratch[worker]),
                        search.bins, search.kernels);
  });
  for (size_t worker = 1; worker < tallies.size(); ++worker) tallies[0].merge(tallies[worker]);
}

void locate_cuts(Search& search, std::vector<GateTally>& tallies) {
  tally_gates(search, tallies);
  const GateTally& tally = tallies[0];
  search.pools.resize(search.layout.partitions.size());
  search.pool.parallel_for(std::ssize(search.pools), [&](int64_t p, int) {
    const PartitionLayout& partition = search.layout.partitions[p];
    PartitionPools& pools = search.pools[p];
    pools.head_global.resize(search.heads);
    pools.block.resize(partition.blocks);
    BinSums all;
    all.reset(search.bins[p].num_bins);
    for (int64_t h = 0; h < search.heads; ++h) {
      for (int64_t c = 0; c < partition.blocks; ++c) {
        const GateRange& range = search.store.range(h, partition.first_block + c);
        pools.head_global[h].add_range(range);
        pools.block[c].add_range(range);
        pools.overall.add_range(range);
      }
      all += tally.of_head(h, p);
      pools.head_global[h].locate(search.bins[p], tally.of_head(h, p));
    }
    for (int64_t c = 0; c < partition.blocks; ++c) {
      pools.block[c].locate(search.bins[p], tally.of_block(partition.first_block + c));
    }
    pools.overall.locate(search.bins[p], all);
  });
}

// The bins that hold a cut of some pool that a block and head lie in.
using BinSet = std::array<uint32_t, kMaxGateBins / 32>;

BinSet cut_bins_of(const std::array<const PoolSearch*, kCutPools>& pools) {
  BinSet set{};
  for (const PoolSearch* pool : pools) {
    for (const PoolSearch::CutBin& found : pool->cut_bins()) {
      set[found.bin / 32] |= uint32_t{1} << (found.bin % 32);
    }
  }
  return set;
}

void collect_flagged(Search& search) {
  search.flags.resize(search.store.num_pieces());
  std::vector<std::vector<float>> scratch(search.pool.size()), found(search.pool.size());
  search.pool.parallel_for(search.store.num_pieces(), [&](int64_t idx, int worker) {
    const GatePiece piece = search.store.piece(idx);
    const float* gate = search.store.read(idx, scratch[worker]);
    PieceFlags& flags = search.flags[idx];
    std::vector<float>& of_block = found[worker];
    of_block.resize(piece.slots() + kRowLanes);
    for (size_t p = 0; p < search.pools.size(); ++p) {
      const PartitionLayout& partition = search.layout.partitions[p];
      for (int64_t c = 0; c < partition.blocks; ++c) {
        const BinSet set = cut_bins_of(search.pools[p].of(piece.head, c));
        const int64_t count =
            search.kernels.select_bins(gate + (partition.first_block + c) * piece.stride(),
                                       piece.slots(), search.bins[p], set.data(), of_block.data());
        flags.first.push_back(std::ssize(flags.gates));
        flags.gates.insert(flags.gates.end(), of_block.begin(), of_block.begin() + count);
      }
    }
    flags.first.push_back(std::ssize(flags.gates));
  });
}

void place_cuts(Search& search) {
  search.cuts.resize(search.pools.size());
  search.pool.parallel_for(std::ssize(search.pools), [&](int64_t p, int) {
    search.cuts[p] = CutLists(search.layout, p, search.pools[p], search.bins[p])
                         .solve(search.store, search.flags, search.kernels);
  });
}

void make_limits(const Search& search, GateSelection& selection) {
  const int64_t blocks = search.layout.partition_blocks;
  selection.orders.resize(search.heads * blocks);
  selection.limits.resize(search.heads * blocks * kPoolCodes);
  selection.tied.resize(search.heads);
  search.pool.parallel_for(search.heads, [&](int64_t head, int) {
    for (size_t p = 0; p < search.pools.size(); ++p) {
      const PartitionLayout& partition = search.layout.partitions[p];
      const GateCut* cuts = search.cuts[p].data();
      for (int64_t c = 0; c < partition.blocks; ++c) {
        const BlockCuts of_block({cuts + head * kNumTaus, cuts + (search.heads + c) * kNumTaus,
                                  cuts + (search.heads + partition.blocks) * kNumTaus},
                                 static_cast<int32_t>(c), static_cast<int32_t>(head));
        const int64_t block = partition.first_block + c;
        selection.orders[head * blocks + block] = of_block.order();
        of_block.store_limits(&selection.limits[(head * blocks + block) * kPoolCodes]);
        if (of_block.has_ranks()) selection.tied[head].push_back({block, &partition, of_block});
      }
    }
  });
}

}  // namespace

void find_gate_codes(const CallLayout& layout, const GateSelection& selection,
                     const RowStatsKernels& kernels, int64_t head, std::span<const int32_t> rows,
                     const GateRows& gates, uint8_t* code) {
  kernels.pool_codes(gates.gate, gates.stride, layout.partition_blocks,
                     &selection.limits[head * layout.partition_blocks * kPoolCodes], code);
  for (const TiedBlock& tied : selection.tied[head]) {
    uint8_t* of_block = code + tied.block * kRowLanes;
    const float* gate = gates.gate + tied.block * gates.stride;
    for (size_t lane = 0; lane < rows.size(); ++lane) {
      const int32_t rank = tied.partition->rank[rows[lane]];
      of_block[lane] = tied.cuts.code_at_rank(of_block[lane], gate[lane], rank);
    }
  }
}

GateSelection find_gate_cuts(const AttentionTensor& q, const CallLayout& layout,
                             const KeyMeans& means, const RowStatsKernels& kernels,
                             ThreadPool& pool, int64_t budget_bytes, GateMemory* memory) {
  GateMemory own_memory;
  if (memory == nullptr) memory = &own_memory;
  GateSelection selection;
  selection.store = std::make_unique<GateStore>(q, layout, means, kernels, pool, budget_bytes,
                                                std::move(memory->gates));
  Search search{.layout = layout,
                .kernels = kernels,
                .pool = pool,
                .store = *selection.store,
                .heads = q.heads,
                .bins = make_bins(*selection.store, q.heads, layout)};
  locate_cuts(search, memory->tallies);
  collect_flagged(search);
  place_cuts(search);
  make_limits(search, selection);
  return selection;
}

}  // namespace sparsescope
