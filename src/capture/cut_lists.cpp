#include "capture/cut_lists.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "capture/sorted_columns.h"

namespace sparsescope {
namespace {

// Longer lists are sorted one by one: a column sort of n rows takes n log^2 n steps.
constexpr int64_t kMaxColumn = 1024;

}  // namespace

CutLists::CutLists(const CallLayout& layout, int64_t partition, const PartitionPools& pools,
                   const GateBins& bins)
    : layout_(layout),
      partition_(layout.partitions[partition]),
      pools_(pools),
      bins_(bins),
      heads_(std::ssize(pools.head_global)) {
  int64_t gates = 0;
  for (int64_t pool = 0; pool <= heads_ + partition_.blocks; ++pool) {
    first_list_.push_back(std::ssize(lists_));
    for (const PoolSearch::CutBin& cut_bin : pool_of(pool).cut_bins()) {
      lists_.push_back({pool, &cut_bin, gates, 0});
      gates += cut_bin.count;
    }
  }
  first_list_.push_back(std::ssize(lists_));
  gates_.resize(gates + 1);
}

const PoolSearch& CutLists::pool_of(int64_t pool) const {
  if (pool < heads_) return pools_.head_global[pool];
  return pool < heads_ + partition_.blocks ? pools_.block[pool - heads_] : pools_.overall;
}

std::vector<GateCut> CutLists::solve(const GateStore& store, const std::vector<PieceFlags>& flags,
                                     const RowStatsKernels& kernels) {
  collect(store, flags);
  sort(kernels);
  std::vector<GateCut> cuts((heads_ + partition_.blocks + 1) * kNumTaus);
  for (const List& list : lists_) place(list, cuts);
  resolve_ties(store, cuts);
  return cuts;
}

// list_of_bin [num_bins]: the lists of a pool, or where none is given none.
void CutLists::mark(int64_t pool, int32_t* list_of_bin, int32_t none) const {
  for (int64_t i = first_list_[pool]; i < first_list_[pool + 1]; ++i) {
    list_of_bin[lists_[i].cut_bin->bin] = none >= 0 ? none : static_cast<int32_t>(i);
  }
}

// Bins that hold no cut of a pool lead to a list behind all others, which stays empty: whether a
// gate belongs to a list is no branch, which would be predicted badly.
void CutLists::collect(const GateStore& store, const std::vector<PieceFlags>& flags) {
  const auto none = static_cast<int32_t>(lists_.size());
  std::vector<int64_t> next(none + 1, std::ssize(gates_) - 1);
  for (int32_t i = 0; i < none; ++i) next[i] = lists_[i].first;
  std::array<std::vector<int32_t>, kCutPools> list_of_bin;
  list_of_bin.fill(std::vector<int32_t>(bins_.num_bins, none));
  const int64_t overall = heads_ + partition_.blocks;
  mark(overall, list_of_bin[2].data(), -1);
  for (int64_t c = 0; c < partition_.blocks; ++c) {
    mark(heads_ + c, list_of_bin[1].data(), -1);
    for (int64_t idx = 0; idx < store.num_pieces(); ++idx) {
      const int64_t head = store.piece(idx).head;
      mark(head, list_of_bin[0].data(), -1);
      for (const float gate : flags[idx].of(partition_.first_block + c)) {
        const int32_t bin = bin_of_gate(gate, bins_);
        for (const auto& lists : list_of_bin) {
          const int32_t list = lists[bin];
          gates_[next[list]] = gate;
          next[list] += list != none ? 1 : 0;
        }
      }
      mark(head, list_of_bin[0].data(), none);
    }
    mark(heads_ + c, list_of_bin[1].data(), none);
  }
  for (int32_t i = 0; i < none; ++i) lists_[i].count = next[i] - lists_[i].first;
}

void CutLists::sort(const RowStatsKernels& kernels) {
  std::vector<Run> runs;
  for (const List& list : lists_) {
    if (list.count > kMaxColumn) {
      split(list, runs);
    } else {
      runs.push_back({list.first, list.count});
    }
  }
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.count < b.count; });
  const auto first_long =
      std::find_if(runs.begin(), runs.end(), [](const Run& run) { return run.count > kMaxColumn; });
  const int64_t num_short = first_long - runs.begin();
  for (int64_t first = 0; first < num_short; first += kRowLanes) {
    sort_batch(&runs[first], std::min<int64_t>(kRowLanes, num_short - first), kernels);
  }
  for (auto run = first_long; run != runs.end(); ++run) {
    const auto begin = gates_.begin() + run->first;
    std::sort(begin, begin + run->count, std::greater<float>());
  }
}

// Deals the gates of a long list into equal intervals, the highest first: runs that are sorted one
// by one sort the list. A bin is narrow, so that its gates spread evenly.
void CutLists::split(const List& list, std::vector<Run>& runs) {
  constexpr int64_t kWanted = kMaxColumn / 4;  // gates in a run
  const auto begin = gates_.begin() + list.first, end = begin + list.count;
  const auto [lo, hi] = std::minmax_element(begin, end);
  const int64_t intervals = list.count / kWanted;
  const double top = *hi;
  const double scale = *hi > *lo ? static_cast<double>(intervals) / (top - *lo) : 0.0;
  const auto interval_of = [&](float gate) {
    return std::min<int64_t>(intervals - 1, static_cast<int64_t>((top - gate) * scale));
  };
  std::vector<int64_t> next(intervals + 1);
  for (auto gate = begin; gate != end; ++gate) ++next[interval_of(*gate) + 1];
  for (int64_t i = 0; i < intervals; ++i) {
    runs.push_back({list.first + next[i], next[i + 1]});
    next[i + 1] += next[i];
  }
  split_.assign(begin, end);
  for (const float gate : split_) gates_[list.first + next[interval_of(gate)]++] = gate;
}

// Up to 64 runs, the longest last.
void CutLists::sort_batch(const Run* runs, int64_t count, const RowStatsKernels& kernels) {
  const int64_t rows = sort_rows(runs[count - 1].count);
  columns_.assign(rows * kRowLanes, -std::numeric_limits<float>::infinity());
  for (int64_t lane = 0; lane < count; ++lane) {
    for (int64_t i = 0; i < runs[lane].count; ++i)
      columns_[i * kRowLanes + lane] = gates_[runs[lane].first + i];
  }
  kernels.sort_columns(columns_.data(), rows);
  for (int64_t lane = 0; lane < count; ++lane) {
    for (int64_t i = 0; i < runs[lane].count; ++i)
      gates_[runs[lane].first + i] = columns_[i * kRowLanes + lane];
  }
}

void CutLists::place(const List& list, std::vector<GateCut>& cuts) {
  const float* gates = &gates_[list.first];
  const auto gate_at = [&](int64_t i) { return static_cast<double>(gates[i]); };
  pool_of(list.pool).place_cuts(*list.cut_bin, gate_at, [&](int64_t tau, int64_t place) {
    GateCut& cut = cuts[list.pool * kNumTaus + tau];
    cut.gate = gates[place];
    cut.tied = place + 1 < list.count && gates[place + 1] == cut.gate;
    if (!cut.tied) return;
    const float* equal = std::lower_bound(gates, gates + place, cut.gate, std::greater<float>());
    ties_.push_back({list.pool * kNumTaus + tau, gates + place - equal});
  });
}

// Ties of one pool come one behind the other, equal ones too.
void CutLists::resolve_ties(const GateStore& store, std::vector<GateCut>& cuts) const {
  std::vector<Place> equal;
  for (size_t i = 0; i < ties_.size(); ++i) {
    GateCut& cut = cuts[ties_[i].cut];
    const int64_t pool = ties_[i].cut / kNumTaus;
    const bool known =
        i > 0 && ties_[i - 1].cut / kNumTaus == pool && cuts[ties_[i - 1].cut].gate == cut.gate;
    if (!known) equal = find_equal(pool, cut.gate, store);
    const Place& place = equal[ties_[i].nth];
    cut.block = place[0];
    cut.head = place[1];
    cut.rank = place[2];
  }
}

// In order.
std::vector<CutLists::Place> CutLists::find_equal(int64_t pool, float gate,
                                                  const GateStore& store) const {
  const bool of_block = pool >= heads_ && pool < heads_ + partition_.blocks;
  std::vector<Place> equal;
  std::vector<float> scratch;
  for (int64_t idx = 0; idx < store.num_pieces(); ++idx) {
    const GatePiece piece = store.piece(idx);
    if (pool < heads_ && pool != piece.head) continue;
    const float* gates = store.read(idx, scratch);
    for (int64_t c = 0; c < partition_.blocks; ++c) {
      if (of_block && c != pool - heads_) continue;
      const float* of_piece = gates + (partition_.first_block + c) * piece.stride();
      for (int64_t slot = 0; slot < piece.slots(); ++slot) {
        if (of_piece[slot] != gate) continue;
        equal.push_back({static_cast<int32_t>(c), static_cast<int32_t>(piece.head),
                         partition_.rank[row_of_slot(layout_, piece, slot)]});
      }
    }
  }
  std::sort(equal.begin(), equal.end());
  return equal;
}

}  // namespace sparsescope
