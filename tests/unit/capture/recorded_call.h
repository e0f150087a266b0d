// Runs a naive call through the profiling hook.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "capture/profiling_hook.h"
#include "unit/capture/naive_statistics.h"

namespace sparsescope::naive {

struct RecordedCall {
  std::map<std::string, StatArray> arrays;
  std::vector<float> map;  // [H, N, N]
  std::vector<float> out;  // [H, S, D]
};

AttentionCall attention_call(const Call& call, std::vector<float>& out);

// Of the recorded calls' samples of rows.
inline constexpr uint64_t kRecordSeed = 11;

RecordedCall record(const Call& call, const std::vector<Partition>& partitions, Impl impl,
                    int threads, int64_t rows_per_tile = 0);

}  // namespace sparsescope::naive
