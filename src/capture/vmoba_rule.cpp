#include "capture/vmoba_rule.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace sparsescope {
namespace {

struct Entry {
  float gate;
  int32_t c, h, s;
};

bool ranks_before(const Entry& a, const Entry& b) {
  if (a.gate != b.gate) return a.gate > b.gate;
  if (a.c != b.c) return a.c < b.c;
  if (a.h != b.h) return a.h < b.h;
  return a.s < b.s;
}

struct IndexRun {
  int64_t first = 0;
  int64_t last = 0;
};

class Selector {
 public:
  Selector(const GateView& gates, const GateRule& rule)
      : gates_(gates),
        rule_(rule),
        mask_(static_cast<size_t>(gates.heads * gates.blocks * gates.tokens)) {}

  std::vector<uint8_t> run() {
    const int64_t samples = gates_.block_sample.empty() ? 1 : gates_.block_sample.back() + 1;
    if (rule_.compat) {
      run_pools({0, gates_.blocks}, {0, gates_.tokens});
      if (!any_other_) keep_all();
    } else {
      for (int32_t sample = 0; sample < samples; ++sample) {
        run_pools(run_of(gates_.block_sample, sample, gates_.blocks),
                  run_of(gates_.token_sample, sample, gates_.tokens));
      }
    }
    return std::move(mask_);
  }

 private:
  static IndexRun run_of(std::span<const int32_t> samples, int32_t sample, int64_t all) {
    if (samples.empty()) return {0, all};
    const auto [first, last] = std::equal_range(samples.begin(), samples.end(), sample);
    return {first - samples.begin(), last - samples.begin()};
  }

  void run_pools(const IndexRun& blocks, const IndexRun& tokens) {
    const IndexRun heads{0, gates_.heads};
    pool_blocks_ = blocks.last - blocks.first;
    switch (rule_.pool) {
      case GatePool::kQueryHead:
        for (int64_t h = 0; h < heads.last; ++h) {
          for (int64_t s = tokens.first; s < tokens.last; ++s) {
            run_pool({h, h + 1}, blocks, {s, s + 1});
          }
        }
        break;
      case GatePool::kHeadGlobal:
        for (int64_t h = 0; h < heads.last; ++h) run_pool({h, h + 1}, blocks, tokens);
        break;
      case GatePool::kBlock:
        for (int64_t c = blocks.first; c < blocks.last; ++c) run_pool(heads, {c, c + 1}, tokens);
        break;
      case GatePool::kOverall:
        run_pool(heads, blocks, tokens);
        break;
    }
  }

  void run_pool(const IndexRun& heads, const IndexRun& blocks, const IndexRun& tokens) {
    own_.clear();
    others_.clear();
    foreign_.clear();
    for (int64_t h = heads.first; h < heads.last; ++h) {
      for (int64_t c = blocks.first; c < blocks.last; ++c) {
        for (int64_t s = tokens.first; s < tokens.last; ++s) add_entry(h, c, s);
      }
    }
    std::sort(others_.begin(), others_.end(), ranks_before);
    std::sort(foreign_.begin(), foreign_.end(), ranks_before);
    if (rule_.select == GateSelect::kTopK) {
      keep_by_count();
    } else {
      keep(others_, count_by_threshold());
    }
  }

  bool valid(int64_t c, int64_t s) const {
    return gates_.block_sample.empty() || gates_.block_sample[c] == gates_.token_sample[s];
  }

  uint8_t& mask(int64_t h, int64_t c, int64_t s) { return mask_[index(h, c, s)]; }
  size_t index(int64_t h, int64_t c, int64_t s) const {
    return static_cast<size_t>((h * gates_.blocks + c) * gates_.tokens + s);
  }

  void add_entry(int64_t h, int64_t c, int64_t s) {
    Entry entry{0.0f, static_cast<int32_t>(c), static_cast<int32_t>(h), static_cast<int32_t>(s)};
    if (!valid(c, s)) {
      foreign_.push_back(entry);
      return;
    }
    entry.gate = gates_.gate[index(h, c, s)];
    if (gates_.self_block[s] == c) {
      mask(h, c, s) = 1;
      own_.push_back(entry);
    } else {
      others_.push_back(entry);
    }
  }

  void keep(const std::vector<Entry>& ranked, int64_t count) {
    for (int64_t i = 0; i < count; ++i) mask(ranked[i].h, ranked[i].c, ranked[i].s) = 1;
    any_other_ = any_other_ || count > 0;
  }

  // Every query of the pool has one own entry in it.
  void keep_by_count() {
    const auto others = std::ssize(others_);
    const int64_t k = std::min(rule_.top_k, pool_blocks_);
    const int64_t wanted = (k - 1) * std::ssize(own_);
    keep(others_, std::min(wanted, others));
    // The public code ranks them last and does not mask them.
    if (rule_.compat && rule_.pool == GatePool::kHeadGlobal && wanted > others) {
      keep(foreign_, std::min(wanted - others, std::ssize(foreign_)));
    }
  }

  int64_t count_by_threshold() const {
    float lo = std::numeric_limits<float>::infinity(), hi = -lo;
    for (const auto* entries : {&own_, &others_}) {
      for (const Entry& entry : *entries) {
        lo = std::min(lo, entry.gate);
        hi = std::max(hi, entry.gate);
      }
    }
    const GateSteps steps(lo, hi);
    int64_t own = 0, total = 0;
    for (const Entry& entry : own_) own += steps.weight(entry.gate);
    for (const Entry& entry : others_) total += steps.weight(entry.gate);
    const int64_t target = steps.target(rule_.threshold, own, own + total);
    int64_t sum = 0;
    for (int64_t i = 0; i < std::ssize(others_); ++i) {
      sum += steps.weight(others_[i].gate);
      if (sum >= target) return i + 1;
    }
    const auto all = static_cast<int64_t>(std::ssize(others_));
    const bool by_line = rule_.pool == GatePool::kQueryHead || rule_.pool == GatePool::kBlock;
    return rule_.compat && by_line ? std::min<int64_t>(2, all) : all;
  }

  void keep_all() {
    for (int64_t h = 0; h < gates_.heads; ++h) {
      for (int64_t c = 0; c < gates_.blocks; ++c) {
        for (int64_t s = 0; s < gates_.tokens; ++s) mask(h, c, s) = valid(c, s) ? 1 : 0;
      }
    }
  }

  const GateView& gates_;
  const GateRule& rule_;
  std::vector<uint8_t> mask_;  // [H, N, S]
  bool any_other_ = false;     // some query attends another block
  // Of the pool at hand.
  int64_t pool_blocks_ = 0;          // of the samples that the pool spans
  std::vector<Entry> own_, others_;  // others ranked
  std::vector<Entry> foreign_;       // queries with blocks of other samples
};

}  // namespace

double needed_weight(double threshold, double own_weight, double total_weight, double unit) {
  // Entries that tie exactly with tau stay below it by this much, as in the published rule.
  constexpr double kSlack = 1e-6;
  return std::max(0.0, threshold * (total_weight + kSlack * unit) - own_weight);
}

GateSteps::GateSteps(float least, float largest) : lo(least) {
  // The exponent of the width; widths that the scale cannot lift weigh less than the slack.
  constexpr int kLargestExponent = 127, kTopBit = 29;
  const int exponent =
      static_cast<int>(std::bit_cast<uint32_t>(largest - least) >> 23 & 0xff) - 127;
  scale = std::ldexp(1.0f, std::min(kLargestExponent, kTopBit - exponent));
  unit = PoolRange{least, largest}.width() * scale;
}

int64_t GateSteps::target(double threshold, int64_t own_weight, int64_t total_weight) const {
  // Sums stay below 2^62; a target above them is out of reach wherever it lies.
  constexpr double kOutOfReach = 0x1p62;
  const double needed = needed_weight(threshold, static_cast<double>(own_weight),
                                      static_cast<double>(total_weight), unit);
  return static_cast<int64_t>(std::min(kOutOfReach, std::ceil(needed)));
}

void check_gate_rule(const GateRule& rule) {
  if (rule.select == GateSelect::kThreshold) return;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, rule.pool != GatePool::kBlock,
                    "VMoBA: top-k has no block pool; expected query_head, head_global or overall");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, rule.top_k >= 1,
                    "VMoBA: top-k expected at least 1, found {}", rule.top_k);
}

std::vector<uint8_t> select_blocks(const GateView& gates, const GateRule& rule) {
  check_gate_rule(rule);
  SPARSESCOPE_ASSERT(static_cast<int64_t>(gates.self_block.size()) == gates.tokens);
  return Selector(gates, rule).run();
}

}  // namespace sparsescope
