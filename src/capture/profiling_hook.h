// Dense attention that records: the instrumented kernel runs once per call, and the reducers turn
// each row group's masses into the statistics of the profile file.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "capture/site_statistics.h"
#include "core/thread_pool.h"
#include "core/token_grid.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"

namespace sparsescope {

struct ProfilingOptions {
  TileShape tile;
  std::vector<Partition> partitions;
  int64_t rows_per_tile = 0;  // rows that enter coverage_row and VMoBA's statistics; 0: all
  uint64_t seed = 0;          // of the stratified choice where rows_per_tile > 0
  // Which sites are recorded, and whose maps are kept. Others run the same kernel and drop its
  // masses: what later calls see does not hang on what was recorded, to the last bit.
  std::function<bool(const SiteKey&)> record;
  std::function<bool(const SiteKey&)> keep_map;
};

class ProfilingHook : public AttentionHook {
 public:
  ProfilingHook(ProfilingOptions options, Impl impl, ThreadPool& pool);
  ~ProfilingHook() override;
  MemorySpace space() const override;  // of the implementation
  void attend(const AttentionCall& call) override;
  // The sites recorded since the last take, in the order of their calls. Batch must be 1.
  std::vector<SiteStatistics> take();
  double attention_seconds() const;  // kernel and reducers

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
