#include "capture/gate_cuts.h"

#include <algorithm>

#include "capture/cut_lists.h"

namespace sparsescope {
namespace {

std::vector<GateBins> make_bins(const GateStore& store, int64_t heads, const CallLayout& layout) {
  std::vector<GateBins> bins;
  for (const PartitionLayout& partition : layout.partitions) {
    GateRange all;
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t c = 0; c < partition.blocks; ++c)
        all += store.range(h, partition.first_block + c);
    }
    const int64_t entries = heads * (partition.blocks - 1) * layout.video_tokens;
    bins.push_back(make_gate_bins(all.finite, entries));
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
  std::vector<GateBins> bins;               // [partitions]
  std::vector<PartitionPools> pools;        // [partitions]
  std::vector<PieceFlags> flags;            // [pieces]
  std::vector<std::vector<GateCut>> cuts;   // [partitions][pools, tau]
  std::vector<int32_t> partition_of_block;  // [blocks]
};

// Into the first of the tallies.
void tally_gates(const Search& search, std::vector<GateTally>& tallies) {
  tallies.resize(search.pool.size());
  for (GateTally& tally : tallies) tally.reset(search.heads, search.layout);
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

// Codes of all entries whose bin decides, and lists of the others.
void code_gates(Search& search, std::vector<uint8_t>& codes) {
  const int64_t blocks = search.layout.partition_blocks;
  codes.resize(search.store.num_pieces() * search.store.piece_size());
  search.flags.resize(search.store.num_pieces());
  std::vector<std::vector<float>> scratch(search.pool.size());
  search.pool.parallel_for(search.store.num_pieces(), [&](int64_t idx, int worker) {
    const GatePiece piece = search.store.piece(idx);
    const float* gate = search.store.read(idx, scratch[worker]);
    PieceFlags& flags = search.flags[idx];
    std::array<uint8_t, kGateBins + 1> code_of_bin;
    std::vector<int32_t> slots(piece.slots() + 1);
    for (int64_t block = 0; block < blocks; ++block) {
      const int32_t p = search.partition_of_block[block];
      code_bins(search.pools[p].of(piece.head, block - search.layout.partitions[p].first_block),
                code_of_bin.data());
      const float* of_block = gate + block * piece.stride();
      const int64_t count = search.kernels.gate_codes(
          of_block, piece.slots(), search.bins[p], code_of_bin.data(),
          &codes[idx * search.store.piece_size() + block * piece.stride()], slots.data());
      flags.first.push_back(std::ssize(flags.entries));
      for (int64_t i = 0; i < count; ++i) flags.entries.push_back({of_block[slots[i]], slots[i]});
    }
    flags.first.push_back(std::ssize(flags.entries));
  });
}

void place_cuts(Search& search) {
  search.cuts.resize(search.pools.size());
  search.pool.parallel_for(std::ssize(search.pools), [&](int64_t p, int) {
    search.cuts[p] = CutLists(search.layout, p, search.pools[p], search.bins[p])
                         .solve(search.store, search.flags, search.kernels);
  });
}

// Codes of the entries that lie in a bin with a cut.
void code_flagged(Search& search, GateSelection& selection) {
  const int64_t blocks = search.layout.partition_blocks;
  selection.orders.resize(search.heads * blocks);
  search.pool.parallel_for(search.store.num_pieces(), [&](int64_t idx, int) {
    const GatePiece piece = search.store.piece(idx);
    for (int64_t block = 0; block < blocks; ++block) {
      const int32_t p = search.partition_of_block[block];
      const PartitionLayout& partition = search.layout.partitions[p];
      const int64_t c = block - partition.first_block;
      const GateCut* cuts = search.cuts[p].data();
      const BlockCuts of_block({cuts + piece.head * kNumTaus, cuts + (search.heads + c) * kNumTaus,
                                cuts + (search.heads + partition.blocks) * kNumTaus},
                               static_cast<int32_t>(c), static_cast<int32_t>(piece.head));
      if (piece.first_block == 0) selection.orders[piece.head * blocks + block] = of_block.order();
      uint8_t* codes = &selection.codes[idx * search.store.piece_size() + block * piece.stride()];
      for (const FlaggedGate& entry : search.flags[idx].of(block)) {
        uint8_t& code = codes[entry.slot];
        code = of_block.code(code, entry.gate, [&] {
          return partition.rank[row_of_slot(search.layout, piece, entry.slot)];
        });
      }
    }
  });
}

}  // namespace

const uint8_t* GateSelection::codes_of(int64_t head, int64_t block) const {
  return codes.data() + store->offset_of(head, block);
}

void GateSelection::give_back(GateMemory& memory) {
  memory.gates = store->take_memory();
  memory.codes = std::move(codes);
}

void GateSelection::prefetch(int64_t head, int64_t block) const {
  store->prefetch_rows(head, block);
  const uint8_t* codes_of_rows = codes_of(head, block);
  const int64_t stride = store->stride_of(block);
  for (int64_t c = 0; c < std::ssize(orders) / store->num_heads(); ++c) {
    __builtin_prefetch(codes_of_rows + c * stride);
  }
}

GateSelection find_gate_cuts(const AttentionTensor& q, const CallLayout& layout,
                             const KeyMeans& means, const RowStatsKernels& kernels,
                             ThreadPool& pool, int64_t budget_bytes, GateMemory* memory) {
  GateMemory own_memory;
  if (memory == nullptr) memory = &own_memory;
  GateSelection selection;
  selection.codes = std::move(memory->codes);
  selection.store = std::make_unique<GateStore>(q, layout, means, kernels, pool, budget_bytes,
                                                std::move(memory->gates));
  Search search{.layout = layout,
                .kernels = kernels,
                .pool = pool,
                .store = *selection.store,
                .heads = q.heads,
                .bins = make_bins(*selection.store, q.heads, layout)};
  for (size_t p = 0; p < layout.partitions.size(); ++p) {
    search.partition_of_block.resize(layout.partitions[p].first_block + layout.partitions[p].blocks,
                                     static_cast<int32_t>(p));
  }
  locate_cuts(search, memory->tallies);
  code_gates(search, selection.codes);
  place_cuts(search);
  code_flagged(search, selection);
  return selection;
}

}  // namespace sparsescope
