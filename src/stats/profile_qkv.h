// The statistics of captured q, k, v: the same hook and reducers as on a trajectory, without a
// model.
#pragma once

#include <filesystem>
#include <vector>

#include "stats/profile_runner.h"

namespace sparsescope {

// Each file holds q, k, v [B, H, S, D] in fp32, bf16 or fp16. It is the site (prompt 0, branch 0,
// step i, layer 0), i its place in the list, unless its metadata give prompt, branch, step or
// layer; entry b of the batch is the prompt b places further.
struct QkvRun {
  std::vector<std::filesystem::path> files;
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
  RecordOptions record;
  OutputOptions out;
  Impl impl = Impl::kReference;
  ThreadPool* pool = nullptr;
  std::string command_line;
};

ProfileOutcome profile_qkv(const QkvRun& run, const RunMonitor& monitor);

}  // namespace sparsescope
