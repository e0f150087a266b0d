// Pools that span queries. A worker takes runs of words of a pool, or where pools are many (one for
// each block) whole pools.
#include <algorithm>
#include <bit>
#include <limits>

#include "core/error.h"
#include "sparse/vmoba_cut.h"
#include "sparse/vmoba_pool_gates.h"
#include "sparse/vmoba_pools.h"

namespace sparsescope {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct GateExtent {
  float lo = kInfinity, hi = -kInfinity;
  void add(float low, float high) {
    lo = std::min(lo, low);
    hi = std::max(hi, high);
  }
};

class PoolSelector {
 public:
  PoolSelector(const VmobaGates& gates, const GateRule& rule, int64_t cache_bytes, ThreadPool& pool,
               std::vector<RowSelection>& selections)
      : gates_(gates),
        rule_(rule),
        cache_bytes_(cache_bytes),
        pool_(pool),
        selections_(selections) {}

  void run() {
    const int64_t B = gates_.num_samples(), H = gates_.num_heads();
    switch (rule_.pool) {
      case GatePool::kHeadGlobal:
        for (int64_t h = 0; h < H; ++h) run_samples(h, h + 1);
        break;
      case GatePool::kOverall:
        run_samples(0, H);
        break;
      case GatePool::kBlock:
        for (int64_t b = 0; b < B; ++b) run_blocks(b);
        break;
      case GatePool::kQueryHead:
        fail(ErrorKind::kInternal, "VMoBA: a pool of one query does not span queries");
    }
    select_own();
  }

 private:
  std::vector<int64_t> planes(int64_t b0, int64_t b1, int64_t h0, int64_t h1) const {
    std::vector<int64_t> found;
    for (int64_t b = b0; b < b1; ++b) {
      for (int64_t h = h0; h < h1; ++h) found.push_back(b * gates_.num_heads() + h);
    }
    return found;
  }

  // A pool for each sample; in compat one for all.
  void run_samples(int64_t h0, int64_t h1) {
    const int64_t B = gates_.num_samples();
    if (rule_.compat) return run_pool(planes(0, B, h0, h1));
    for (int64_t b = 0; b < B; ++b) run_pool(planes(b, b + 1, h0, h1));
  }

  // All blocks of some planes.
  void run_pool(std::vector<int64_t> planes) {
    PoolGates pool(gates_, std::move(planes), 0, gates_.num_blocks(), cache_bytes_, pool_);
    const GateScan scan = [&](const UseGates& use) {
      pool.for_each_item([&](int64_t item, int worker) {
        use(pool.read(item, worker), pool.entries_of_item(), worker);
      });
    };
    CutSearch search(gates_.kernels(), pool_.size());
    const auto queries = std::ssize(pool.own());
    cut_ = {search_pool(search, scan, pool.own(), queries)};
    mark(pool, [&](int64_t) { return cut_[0]; });
    drop_ties(pool, 0, gates_.num_blocks(), cut_[0].ties);
  }

  // A pool for each block, over the heads of a sample; as many at a time as fit the cache.
  void run_blocks(int64_t b) {
    const std::vector<int64_t> sample = planes(b, b + 1, 0, gates_.num_heads());
    const int64_t block_bytes = static_cast<int64_t>(sample.size()) * gates_.num_words() *
                                kRowLanes * static_cast<int64_t>(sizeof(float));
    const int64_t at_once = std::clamp<int64_t>(cache_bytes_ / block_bytes, 1, gates_.num_blocks());
    for (int64_t first = 0; first < gates_.num_blocks(); first += at_once) {
      const int64_t last = std::min(gates_.num_blocks(), first + at_once);
      PoolGates pool(gates_, sample, first, last, at_once * block_bytes, pool_);
      cut_.assign(last - first, {});
      pool_.parallel_for(last - first, [&](int64_t c, int worker) {
        const GateScan scan = [&](const UseGates& use) {
          for (int64_t item = 0; item < pool.num_items(); ++item) {
            use(pool.read(item, worker) + c * kRowLanes, kRowLanes, 0);
          }
        };
        CutSearch search(gates_.kernels(), 1);
        cut_[c] = search_pool(search, scan, own_of_block(pool, first + c), 0);
      });
      mark(pool, [&](int64_t c) { return cut_[c]; });
      for (int64_t c = first; c < last; ++c) drop_ties(pool, c, c + 1, cut_[c - first].ties);
    }
  }

  std::vector<float> own_of_block(const PoolGates& pool, int64_t block) const {
    std::vector<float> own;
    for (int64_t i = 0; i < std::ssize(pool.own()); ++i) {
      if (gates_.own_blocks(0)[i % gates_.num_rows()] == block) own.push_back(pool.own()[i]);
    }
    return own;
  }

  // Every query of a pool of all blocks has one own entry in it.
  PoolCut search_pool(CutSearch& search, const GateScan& scan, const std::vector<float>& own,
                      int64_t queries) const {
    if (gates_.num_blocks() == 1) return {};
    if (rule_.select == GateSelect::kTopK) {
      return search.best(scan, (std::min(rule_.top_k, gates_.num_blocks()) - 1) * queries);
    }
    std::vector<GateExtent> extents(pool_.size());
    scan([&](const float* gates, int64_t count, int worker) {
      FiniteRange range;
      gates_.kernels().finite_range(gates, count, &range);
      extents[worker].add(range.lo, range.hi);
    });
    GateExtent extent;
    for (const GateExtent& of_worker : extents) extent.add(of_worker.lo, of_worker.hi);
    for (const float gate : own) extent.add(gate, gate);
    const GateSteps steps(extent.lo, extent.hi);
    int64_t own_weight = 0;
    for (const float gate : own) own_weight += steps.weight(gate);
    const int64_t all = std::numeric_limits<int64_t>::max();
    const int64_t fallback = rule_.compat && rule_.pool == GatePool::kBlock ? 2 : all;
    return search.by_threshold(scan, steps, rule_.threshold, own_weight, fallback);
  }

  uint64_t* bits(const PoolGates& pool, int64_t plane_idx, int64_t word) {
    return &selections_[pool.planes()[plane_idx]].bits[word * gates_.num_blocks()];
  }

  // Selects what lies above or at the cuts; equal_ holds the latter.
  template <typename CutOf>
  void mark(PoolGates& pool, const CutOf& cut_of) {
    const int64_t blocks = pool.last() - pool.first();
    equal_.resize(pool.num_items() * blocks);
    pool.for_each_item([&](int64_t item, int worker) {
      const int64_t word = item % gates_.num_words();
      const uint64_t lanes = gates_.lane_mask(word);
      uint64_t* to = bits(pool, item / gates_.num_words(), word) + pool.first();
      uint64_t* equal = &equal_[item * blocks];
      const float* gate = pool.read(item, worker);
      // Runs of blocks under one cut.
      const int64_t run = std::ssize(cut_) == 1 ? blocks : 1;
      for (int64_t c = 0; c < blocks; c += run) {
        float cut[kRowLanes];
        std::fill_n(cut, kRowLanes, cut_of(c).gate);
        gates_.kernels().compare_bits(gate + c * kRowLanes, run, cut, to + c, equal + c);
      }
      for (int64_t c = 0; c < blocks; ++c) to[c] = (to[c] | equal[c]) & lanes;
    });
  }

  // Of the entries at the cut keeps the first `wanted`, by block, head and query.
  void drop_ties(const PoolGates& pool, int64_t first, int64_t last, int64_t wanted) {
    const int64_t blocks = pool.last() - pool.first();
    int64_t ties = 0;
    const auto visit = [&](const auto& use) {
      const int64_t heads = pool.num_planes() / samples_of(pool);
      for (int64_t b = 0; b < samples_of(pool); ++b) {
        for (int64_t c = first; c < last; ++c) {
          for (int64_t plane = b * heads; plane < (b + 1) * heads; ++plane) {
            for (int64_t word = 0; word < gates_.num_words(); ++word) {
              const int64_t at = (plane * gates_.num_words() + word) * blocks + c - pool.first();
              use(equal_[at] & gates_.lane_mask(word), bits(pool, plane, word)[c]);
            }
          }
        }
      }
    };
    visit([&](uint64_t equal, uint64_t&) { ties += std::popcount(equal); });
    if (ties <= wanted) return;
    visit([&](uint64_t equal, uint64_t& word) {
      for (; equal != 0; equal &= equal - 1) {
        if (wanted-- <= 0) word &= ~(equal & -equal);
      }
    });
  }

  int64_t samples_of(const PoolGates& pool) const {
    return (pool.planes().back() - pool.planes().front()) / gates_.num_heads() + 1;
  }

  void select_own() {
    pool_.parallel_for(gates_.num_planes(), [&](int64_t plane, int) {
      for (int64_t s = 0; s < gates_.num_rows(); ++s) {
        selections_[plane].select(gates_.own_blocks(0)[s], s);
      }
    });
  }

  const VmobaGates& gates_;
  const GateRule& rule_;
  int64_t cache_bytes_;
  ThreadPool& pool_;
  std::vector<RowSelection>& selections_;
  std::vector<PoolCut> cut_;     // one, or one for each block of the pool at hand
  std::vector<uint64_t> equal_;  // [items, blocks] of the pool at hand
};

}  // namespace

void select_by_pool(const VmobaGates& gates, const GateRule& rule, int64_t cache_bytes,
                    ThreadPool& pool, std::vector<RowSelection>& selections) {
  PoolSelector(gates, rule, cache_bytes, pool, selections).run();
}

}  // namespace sparsescope
