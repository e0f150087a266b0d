#include "capture/gate_cuts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "capture/gate_scan.h"
#include "capture/gate_tally.h"
#include "capture/statistic_grids.h"
#include "capture/vmoba_rule.h"

namespace sparsescope {
namespace {

constexpr int64_t kNumTaus = std::ssize(kTaus);

// A gate of a bin that holds some cut.
struct Candidate {
  float gate;
  int32_t block, head, rank;
};

// A lambda, which sorts inline.
constexpr auto kRanksBefore = [](const Candidate& a, const Candidate& b) {
  if (a.gate != b.gate) return a.gate > b.gate;
  if (a.block != b.block) return a.block < b.block;
  if (a.head != b.head) return a.head < b.head;
  return a.rank < b.rank;
};

// One pool: from sums and bins to the bins of its cuts, and from those bins' entries to the cuts.
class PoolSearch {
 public:
  void add_range(const GateTally::Range& range, const GateSum& own) {
    range_.lo = std::min<double>(range_.lo, range.lo);
    range_.hi = std::max<double>(range_.hi, range.hi);
    own_ += own;
  }

  // bins [kGateBins]
  void locate(const GateSum* bins) {
    GateSum others;
    for (int32_t bin = 0; bin < kGateBins; ++bin) others += bins[bin];
    const double own = weight(own_);
    const double total = own + weight(others);
    for (int64_t i = 0; i < kNumTaus; ++i) needed_[i] = needed_weight(kTaus[i], own, total);
    // needed_ ascends with tau, so that one walk finds all.
    double before = 0.0;
    int64_t next = 0;
    for (int32_t bin = kGateBins - 1; bin >= 0 && next < kNumTaus; --bin) {
      if (bins[bin].count == 0.0) continue;
      const double after = before + weight(bins[bin]);
      for (; next < kNumTaus && after >= needed_[next]; ++next) {
        bin_[next] = bin;
        before_[next] = before;
        wanted_[bin] = true;
      }
      before = after;
    }
  }

  bool wants(int32_t bin) const { return wanted_[bin]; }
  void collect(const Candidate& candidate) { candidates_.push_back(candidate); }

  void solve(const GateBins& bins, GateCut* cuts) {
    std::sort(candidates_.begin(), candidates_.end(), kRanksBefore);
    size_t first = 0;
    for (int64_t i = 0; i < kNumTaus; ++i) {
      if (bin_[i] < 0) continue;  // out of reach: the default keeps all
      while (bins.bin(candidates_[first].gate) != bin_[i]) ++first;
      cuts[i] = cut_within(first, bins, i);
    }
    candidates_ = {};
  }

 private:
  double weight(const GateSum& entries) const {
    return (entries.sum - entries.count * range_.lo) / range_.width();
  }

  // The cut of tau i in the run of candidates of its bin, which starts at first.
  GateCut cut_within(size_t first, const GateBins& bins, int64_t i) const {
    double sum = before_[i];
    size_t at = first;
    while (true) {
      sum += (candidates_[at].gate - range_.lo) / range_.width();
      // Rounding may leave the bin's last entry short of what its sum reached.
      const bool last =
          at + 1 == candidates_.size() || bins.bin(candidates_[at + 1].gate) != bin_[i];
      if (sum >= needed_[i] || last) break;
      ++at;
    }
    const Candidate& cut = candidates_[at];
    const bool tied = at + 1 < candidates_.size() && candidates_[at + 1].gate == cut.gate;
    return {cut.gate, cut.block, cut.head, cut.rank, tied};
  }

  static std::array<int32_t, kNumTaus> no_bins() {
    std::array<int32_t, kNumTaus> bins;
    bins.fill(-1);
    return bins;
  }

  PoolRange range_{std::numeric_limits<double>::infinity(),
                   -std::numeric_limits<double>::infinity()};
  GateSum own_;
  std::array<double, kNumTaus> needed_{}, before_{};
  std::array<int32_t, kNumTaus> bin_ = no_bins();
  std::array<bool, kGateBins> wanted_{};
  std::vector<Candidate> candidates_;
};

// Which pools want the entries of a bin.
constexpr uint8_t kWantedByHead = 1, kWantedByBlock = 2, kWantedByAll = 4;

// The pools of one partition.
struct PartitionSearch {
  std::vector<PoolSearch> head_global, block;
  PoolSearch overall;
  GateBins bins;
  std::vector<uint8_t> head_wants;   // [H, bins] kWantedByHead, kWantedByAll
  std::vector<uint8_t> block_wants;  // [blocks, bins] kWantedByBlock

  void note_wants() {
    for (const PoolSearch& pool : head_global) {
      for (int32_t bin = 0; bin < kGateBins; ++bin) {
        head_wants.push_back((pool.wants(bin) ? kWantedByHead : 0) |
                             (overall.wants(bin) ? kWantedByAll : 0));
      }
    }
    for (const PoolSearch& pool : block) {
      for (int32_t bin = 0; bin < kGateBins; ++bin) {
        block_wants.push_back(pool.wants(bin) ? kWantedByBlock : 0);
      }
    }
  }
};

std::vector<GateBins> sample_ranges(const GateScan& scan) {
  constexpr int64_t kSampleStride = 16;
  const int64_t partitions = std::ssize(scan.layout.partitions);
  std::vector<std::vector<GateBins>> found(scan.pool.size(), std::vector<GateBins>(partitions));
  scan.run(kSampleStride, [&](int worker, const GateBlock& rows) {
    for (int64_t p = 0; p < partitions; ++p) {
      const PartitionLayout& partition = scan.layout.partitions[p];
      std::array<float, kRowLanes> lo, hi;
      scan.kernels.min_max(rows.gate + partition.first_block * kRowLanes, partition.blocks,
                           lo.data(), hi.data());
      GateBins& bins = found[worker][p];
      for (int32_t lane = 0; lane < rows.num_rows; ++lane) {
        bins.lo = std::min(bins.lo, lo[lane]);
        bins.hi = std::max(bins.hi, hi[lane]);
      }
    }
  });
  for (int64_t p = 0; p < partitions; ++p) {
    for (const auto& worker : found) {
      found[0][p].lo = std::min(found[0][p].lo, worker[p].lo);
      found[0][p].hi = std::max(found[0][p].hi, worker[p].hi);
    }
    found[0][p].finish();
  }
  return found[0];
}

GateTally tally_gates(const GateScan& scan, const std::vector<GateBins>& bins) {
  std::vector<GateTally> tallies(scan.pool.size(), GateTally(scan.q.heads, scan.layout));
  scan.run(
      1, [&](int worker, const GateBlock& rows) { tallies[worker].add(rows, bins, scan.layout); });
  for (size_t worker = 1; worker < tallies.size(); ++worker) tallies[0].merge(tallies[worker]);
  return std::move(tallies[0]);
}

PartitionSearch locate_cuts(const GateTally& tally, int64_t heads, int64_t p,
                            const PartitionLayout& partition) {
  PartitionSearch search;
  search.head_global.resize(heads);
  search.block.resize(partition.blocks);
  std::vector<GateSum> all(kGateBins);
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t c = 0; c < partition.blocks; ++c) {
      const int64_t block = partition.first_block + c;
      search.head_global[h].add_range(tally.range(h, block), tally.own(h, block));
      search.block[c].add_range(tally.range(h, block), tally.own(h, block));
      search.overall.add_range(tally.range(h, block), tally.own(h, block));
    }
    const GateSum* bins = tally.head_bins(h, p);
    for (int32_t bin = 0; bin < kGateBins; ++bin) all[bin] += bins[bin];
    search.head_global[h].locate(bins);
  }
  for (int64_t c = 0; c < partition.blocks; ++c) {
    search.block[c].locate(tally.block_bins(partition.first_block + c));
  }
  search.overall.locate(all.data());
  search.note_wants();
  return search;
}

// A candidate and the pools that want it.
struct Wanted {
  Candidate candidate;
  uint8_t pools;
};

// [worker][partition]
using WantedLists = std::vector<std::vector<std::vector<Wanted>>>;

WantedLists collect_candidates(const GateScan& scan, const std::vector<PartitionSearch>& searches) {
  WantedLists lists(scan.pool.size());
  for (auto& list : lists) list.resize(searches.size());
  scan.run(1, [&](int worker, const GateBlock& rows) {
    for (size_t p = 0; p < searches.size(); ++p) {
      const PartitionLayout& partition = scan.layout.partitions[p];
      const PartitionSearch& search = searches[p];
      const uint8_t* head_wants = &search.head_wants[rows.head * kGateBins];
      const GateBins bins = search.bins;
      for (int32_t c = 0; c < partition.blocks; ++c) {
        const float* gate = rows.gate + (partition.first_block + c) * kRowLanes;
        const uint8_t* block_wants = &search.block_wants[int64_t{c} * kGateBins];
        for (int32_t lane = 0; lane < rows.num_rows; ++lane) {
          const int32_t bin = bins.bin(gate[lane]);
          const uint8_t pools = head_wants[bin] | block_wants[bin];
          const int32_t row = rows.first_row + lane;
          if (pools == 0 || partition.self[row] == c) continue;
          lists[worker][p].push_back(
              {{gate[lane], c, static_cast<int32_t>(rows.head), partition.rank[row]}, pools});
        }
      }
    }
  });
  return lists;
}

void distribute(const WantedLists& lists, std::vector<PartitionSearch>& searches) {
  for (size_t p = 0; p < searches.size(); ++p) {
    for (const auto& worker : lists) {
      for (const Wanted& wanted : worker[p]) {
        const Candidate& candidate = wanted.candidate;
        if (wanted.pools & kWantedByHead)
          searches[p].head_global[candidate.head].collect(candidate);
        if (wanted.pools & kWantedByBlock) searches[p].block[candidate.block].collect(candidate);
        if (wanted.pools & kWantedByAll) searches[p].overall.collect(candidate);
      }
    }
  }
}

PartitionCuts solve(PartitionSearch& search) {
  PartitionCuts cuts;
  const auto solve_all = [&](std::vector<PoolSearch>& pools, std::vector<GateCut>& out) {
    out.resize(pools.size() * kNumTaus);
    for (size_t i = 0; i < pools.size(); ++i) pools[i].solve(search.bins, &out[i * kNumTaus]);
  };
  solve_all(search.head_global, cuts.head_global);
  solve_all(search.block, cuts.block);
  cuts.overall.resize(kNumTaus);
  search.overall.solve(search.bins, cuts.overall.data());
  return cuts;
}

}  // namespace

float GateCut::threshold(int32_t c, int32_t h) const {
  if (!tied || c < block || (c == block && h <= head)) return gate;
  return std::nextafter(gate, std::numeric_limits<float>::infinity());
}

std::vector<PartitionCuts> find_gate_cuts(const AttentionTensor& q, const CallLayout& layout,
                                          const KeyMeans& means, const RowStatsKernels& kernels,
                                          ThreadPool& pool) {
  const GateScan scan{q, layout, means, kernels, pool};
  const std::vector<GateBins> bins = sample_ranges(scan);
  std::vector<PartitionSearch> searches;
  {
    const GateTally tally = tally_gates(scan, bins);
    for (size_t p = 0; p < layout.partitions.size(); ++p) {
      searches.push_back(
          locate_cuts(tally, q.heads, static_cast<int64_t>(p), layout.partitions[p]));
      searches.back().bins = bins[p];
    }
  }
  distribute(collect_candidates(scan, searches), searches);
  std::vector<PartitionCuts> cuts(searches.size());
  pool.parallel_for(std::ssize(searches), [&](int64_t p, int) { cuts[p] = solve(searches[p]); });
  return cuts;
}

}  // namespace sparsescope
