// The gates that one pool, or the pools of several blocks, compete with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/row_groups.h"
#include "core/thread_pool.h"
#include "sparse/vmoba_gates.h"

namespace sparsescope {

// The gates of blocks [first, last) of several planes, word by word. In them the own blocks, and
// lanes without a query, hold +infinity: they are no entries of the search, and above each cut.
class PoolGates {
 public:
  static constexpr int64_t kRunWords = 8;  // words that a worker takes at a time

  PoolGates(const VmobaGates& gates, std::vector<int64_t> planes, int64_t first, int64_t last,
            int64_t cache_bytes, ThreadPool& pool);

  const std::vector<int64_t>& planes() const { return planes_; }
  int64_t num_planes() const { return static_cast<int64_t>(planes_.size()); }
  int64_t first() const { return first_; }
  int64_t last() const { return last_; }
  int64_t num_items() const { return num_planes() * gates_.num_words(); }
  int64_t entries_of_item() const { return (last_ - first_) * kRowLanes; }
  // [planes, S_video] gates of the own blocks within the range.
  const std::vector<float>& own() const { return own_; }

  // An item is a word of a plane.
  template <typename Use>
  void for_each_item(const Use& use) {
    const int64_t runs = (num_items() + kRunWords - 1) / kRunWords;
    pool_.parallel_for(runs, [&](int64_t run, int worker) {
      const int64_t end = std::min(num_items(), (run + 1) * kRunWords);
      for (int64_t item = run * kRunWords; item < end; ++item) use(item, worker);
    });
  }

  // [last - first, 64], until the worker's next read.
  const float* read(int64_t item, int worker);

 private:
  struct Scratch {
    std::vector<float> columns, gates;
  };

  float* buffer(int worker);
  // own [S_video] may be null
  void compute(int64_t item, int worker, float* gate, float* own);

  const VmobaGates& gates_;
  std::vector<int64_t> planes_;
  int64_t first_, last_;
  ThreadPool& pool_;
  bool cached_ = false;
  std::vector<float> cache_;  // [items, last - first, 64]
  std::vector<float> own_;
  std::vector<Scratch> scratch_;  // [workers]
};

}  // namespace sparsescope
