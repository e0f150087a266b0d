// The runs of `bench attention`, built and checked: none is handed out whose results were not.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/attention_bench.h"

namespace sparsescope {

// A method ready to be timed.
struct TimedCandidate {
  Measurement measurement;  // all but the times
  std::function<void()> attend;
  std::function<void()> select;  // empty: nothing to select
  bool spins_after = false;
};

class AttentionCandidates {
 public:
  // options must outlive this. Error(kInternal) where a result is wrong.
  AttentionCandidates(const AttentionBenchOptions& options, Impl impl,
                      const AttentionKernels& kernels);
  ~AttentionCandidates();

  const std::vector<TimedCandidate>& all() const;
  const std::vector<std::string>& notes() const;  // what was left out, and why
  ThreadPool& pool();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
