// Pools of one query: all rules run vertically on the 64 queries of a word.
#include <algorithm>
#include <bit>
#include <limits>

#include "sparse/vmoba_pools.h"

namespace sparsescope {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kRunWords = 8;    // words that a worker takes at a time
constexpr int64_t kLeastRows = 16;  // of sort_columns

class QuerySelector {
 public:
  QuerySelector(const VmobaGates& gates, const GateRule& rule)
      : gates_(gates),
        rule_(rule),
        num_blocks_(gates.num_blocks()),
        gate_(num_blocks_ * kRowLanes),
        ranked_(std::max<int64_t>(kLeastRows, std::bit_ceil(static_cast<uint64_t>(num_blocks_))) *
                kRowLanes),
        equal_(num_blocks_) {}

  // bits [N]
  void run(int64_t plane, int64_t word, uint64_t* bits) {
    const int32_t* own = gates_.own_blocks(word);
    const int32_t lanes = gates_.lanes(word);
    if (num_blocks_ > 1) {
      gates_.compute(plane, word, 0, num_blocks_, columns_, gate_.data());
      for (int32_t lane = 0; lane < lanes; ++lane) take_out(own[lane], lane);
      rank_others();
      if (rule_.select == GateSelect::kTopK) {
        std::fill_n(kept_, kRowLanes, std::min(rule_.top_k, num_blocks_) - 1);
      } else {
        count_by_threshold();
      }
      keep_ranked(gates_.lane_mask(word), bits);
    }
    for (int32_t lane = 0; lane < lanes; ++lane) bits[own[lane]] |= uint64_t{1} << lane;
  }

 private:
  int64_t num_others() const { return num_blocks_ - 1; }
  float ranked(int64_t rank, int32_t lane) const { return ranked_[rank * kRowLanes + lane]; }

  // The own block ranks behind all others.
  void take_out(int32_t block, int32_t lane) {
    float& gate = gate_[block * kRowLanes + lane];
    own_gate_[lane] = gate;
    gate = -kInfinity;
  }

  void rank_others() {
    const auto end = std::copy(gate_.begin(), gate_.end(), ranked_.begin());
    std::fill(end, ranked_.end(), -kInfinity);
    gates_.kernels().sort_columns(ranked_.data(), std::ssize(ranked_) / kRowLanes);
  }

  void count_by_threshold() {
    GateSteps steps[kRowLanes];
    float lo[kRowLanes], scale[kRowLanes];
    int64_t others[kRowLanes], target[kRowLanes];
    for (int32_t lane = 0; lane < kRowLanes; ++lane) {
      steps[lane] = GateSteps(std::min(own_gate_[lane], ranked(num_others() - 1, lane)),
                              std::max(own_gate_[lane], ranked(0, lane)));
      lo[lane] = steps[lane].lo;
      scale[lane] = steps[lane].scale;
    }
    gates_.kernels().weight_sums(ranked_.data(), num_others(), lo, scale, others);
    for (int32_t lane = 0; lane < kRowLanes; ++lane) {
      const int64_t own = steps[lane].weight(own_gate_[lane]);
      target[lane] = steps[lane].target(rule_.threshold, own, own + others[lane]);
    }
    gates_.kernels().reach_counts(ranked_.data(), num_others(), lo, scale, target, kept_);
    for (int32_t lane = 0; lane < kRowLanes; ++lane) {
      kept_[lane] = std::max<int64_t>(kept_[lane], 1);
      if (rule_.compat && others[lane] < target[lane]) {
        kept_[lane] = std::min<int64_t>(2, num_others());
      }
    }
  }

  void keep_ranked(uint64_t mask, uint64_t* bits) {
    float cut[kRowLanes];
    uint64_t tied = 0;  // queries of which some, not all, blocks at the cut are kept
    for (int32_t lane = 0; lane < kRowLanes; ++lane) {
      const int64_t kept = kept_[lane];
      cut[lane] = kept > 0 ? ranked(kept - 1, lane) : kInfinity;
      const bool more = kept > 0 && kept < num_others() && ranked(kept, lane) == cut[lane];
      tied |= uint64_t{more} << lane;
    }
    gates_.kernels().compare_bits(gate_.data(), num_blocks_, cut, bits, equal_.data());
    for (int64_t c = 0; c < num_blocks_; ++c) bits[c] = (bits[c] | (equal_[c] & ~tied)) & mask;
    for (tied &= mask; tied != 0; tied &= tied - 1) {
      keep_ties(std::countr_zero(tied), cut, bits);
    }
  }

  // The lowest blocks of those at the cut.
  void keep_ties(int32_t lane, const float* cut, uint64_t* bits) {
    int64_t wanted = 0;
    while (wanted < kept_[lane] && ranked(kept_[lane] - 1 - wanted, lane) == cut[lane]) ++wanted;
    for (int64_t c = 0; c < num_blocks_ && wanted > 0; ++c) {
      const uint64_t bit = equal_[c] & uint64_t{1} << lane;
      bits[c] |= bit;
      wanted -= bit != 0 ? 1 : 0;
    }
  }

  const VmobaGates& gates_;
  const GateRule& rule_;
  int64_t num_blocks_;
  std::vector<float> columns_;   // [D, 64]
  std::vector<float> gate_;      // [N, 64] own blocks -infinity
  std::vector<float> ranked_;    // [padded N, 64] the same, descending
  std::vector<uint64_t> equal_;  // [N]
  float own_gate_[kRowLanes] = {};
  int64_t kept_[kRowLanes] = {};  // other blocks
};

}  // namespace

void select_by_query(const VmobaGates& gates, const GateRule& rule, ThreadPool& pool,
                     std::vector<RowSelection>& selections) {
  const int64_t runs = (gates.num_words() + kRunWords - 1) / kRunWords;
  std::vector<QuerySelector> selectors(pool.size(), QuerySelector(gates, rule));
  pool.parallel_for(gates.num_planes() * runs, [&](int64_t item, int worker) {
    const int64_t plane = item / runs, first = item % runs * kRunWords;
    const int64_t last = std::min(gates.num_words(), first + kRunWords);
    for (int64_t word = first; word < last; ++word) {
      selectors[worker].run(plane, word, &selections[plane].bits[word * gates.num_blocks()]);
    }
  });
}

}  // namespace sparsescope
