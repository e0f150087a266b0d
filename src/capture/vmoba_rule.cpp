#include "capture/vmoba_rule.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace sparsescope {
namespace {

struct Entry {
  float gate;
  int32_t c, h, s;
};

// A lambda, which sorts inline.
constexpr auto kRanksBefore = [](const Entry& a, const Entry& b) {
  if (a.gate != b.gate) return a.gate > b.gate;
  if (a.c != b.c) return a.c < b.c;
  if (a.h != b.h) return a.h < b.h;
  return a.s < b.s;
};

class Selector {
 public:
  Selector(const GateView& gates, const GateRule& rule)
      : gates_(gates),
        rule_(rule),
        mask_(static_cast<size_t>(gates.heads * gates.blocks * gates.tokens)) {}

  // One pool: the heads, blocks and queries of three ranges [first, last).
  void run_pool(int64_t h0, int64_t h1, int64_t c0, int64_t c1, int64_t s0, int64_t s1) {
    others_.clear();
    own_gates_.clear();
    for (int64_t h = h0; h < h1; ++h) {
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t s = s0; s < s1; ++s) add_entry(h, c, s);
      }
    }
    const int64_t kept = rule_.select == GateSelect::kTopK ? keep_by_count((h1 - h0) * (s1 - s0))
                                                           : keep_by_threshold();
    for (int64_t i = 0; i < kept; ++i) mask_[index(others_[i].h, others_[i].c, others_[i].s)] = 1;
  }

  std::vector<uint8_t> take() { return std::move(mask_); }

 private:
  size_t index(int64_t h, int64_t c, int64_t s) const {
    return static_cast<size_t>((h * gates_.blocks + c) * gates_.tokens + s);
  }

  void add_entry(int64_t h, int64_t c, int64_t s) {
    const float gate = gates_.gate[index(h, c, s)];
    if (gates_.self_block[s] == c) {
      mask_[index(h, c, s)] = 1;
      own_gates_.push_back(gate);
    } else {
      others_.push_back(
          {gate, static_cast<int32_t>(c), static_cast<int32_t>(h), static_cast<int32_t>(s)});
    }
  }

  // Both bring the kept ones of the others to the front, in any order, and return how many. Neither
  // sorts the pool: the set before a cut takes a few passes over a shrinking part of it.

  // Every query of the pool has one own entry in it.
  int64_t keep_by_count(int64_t pool_queries) {
    const int64_t k = std::min(rule_.top_k, gates_.blocks);
    const int64_t kept = std::min((k - 1) * pool_queries, static_cast<int64_t>(others_.size()));
    if (kept > 0 && kept < static_cast<int64_t>(others_.size())) {
      std::nth_element(others_.begin(), others_.begin() + kept, others_.end(), kRanksBefore);
    }
    return kept;
  }

  int64_t keep_by_threshold() {
    PoolRange range{std::numeric_limits<double>::infinity(),
                    -std::numeric_limits<double>::infinity()};
    const auto extend = [&](double gate) {
      range.lo = std::min(range.lo, gate);
      range.hi = std::max(range.hi, gate);
    };
    for (const float gate : own_gates_) extend(gate);
    for (const Entry& entry : others_) extend(entry.gate);
    const auto weight = [&](double gate) { return (gate - range.lo) / range.width(); };
    double own = 0.0, total = 0.0;
    for (const float gate : own_gates_) own += weight(gate);
    for (const Entry& entry : others_) total += weight(entry.gate);
    total += own;
    return keep_weight(needed_weight(rule_.threshold, own, total), weight);
  }

  // The fewest best entries whose weights reach needed; all where they do not. The cut lies in
  // [first, last); entries before first are kept and weigh sum.
  template <typename Weight>
  int64_t keep_weight(double needed, const Weight& weight) {
    constexpr int64_t kSortedRun = 64;  // short enough that sorting beats another halving
    auto first = others_.begin(), last = others_.end();
    double sum = 0.0;
    while (last - first > kSortedRun) {
      const auto middle = first + (last - first) / 2;
      std::nth_element(first, middle, last, kRanksBefore);
      double half = 0.0;
      for (auto entry = first; entry != middle; ++entry) half += weight(entry->gate);
      if (sum + half >= needed) {
        last = middle;
      } else {
        sum += half;
        first = middle;
      }
    }
    std::sort(first, last, kRanksBefore);
    for (; first != last; ++first) {
      sum += weight(first->gate);
      if (sum >= needed) return first - others_.begin() + 1;
    }
    return first - others_.begin();
  }

  const GateView& gates_;
  const GateRule& rule_;
  std::vector<uint8_t> mask_;  // [H, N, S]
  std::vector<Entry> others_;  // of the pool at hand
  std::vector<float> own_gates_;
};

}  // namespace

double needed_weight(double threshold, double own_weight, double total_weight) {
  // Entries that tie exactly with tau stay below it by this much, as in the published rule.
  constexpr double kSlack = 1e-6;
  return std::max(0.0, threshold * (total_weight + kSlack) - own_weight);
}

std::vector<uint8_t> select_blocks(const GateView& gates, const GateRule& rule) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    rule.select == GateSelect::kThreshold || rule.pool != GatePool::kBlock,
                    "VMoBA: top-k has no block pool; expected query_head, head_global or overall");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, rule.select == GateSelect::kThreshold || rule.top_k >= 1,
                    "VMoBA: top-k expected at least 1, found {}", rule.top_k);
  SPARSESCOPE_ASSERT(static_cast<int64_t>(gates.self_block.size()) == gates.tokens);
  const int64_t H = gates.heads, N = gates.blocks, S = gates.tokens;
  Selector selector(gates, rule);
  switch (rule.pool) {
    case GatePool::kQueryHead:
      for (int64_t h = 0; h < H; ++h) {
        for (int64_t s = 0; s < S; ++s) selector.run_pool(h, h + 1, 0, N, s, s + 1);
      }
      break;
    case GatePool::kHeadGlobal:
      for (int64_t h = 0; h < H; ++h) selector.run_pool(h, h + 1, 0, N, 0, S);
      break;
    case GatePool::kBlock:
      for (int64_t c = 0; c < N; ++c) selector.run_pool(0, H, c, c + 1, 0, S);
      break;
    case GatePool::kOverall:
      selector.run_pool(0, H, 0, N, 0, S);
      break;
  }
  return selector.take();
}

}  // namespace sparsescope
