// Samples denoising trajectories with the profiling hook in place and writes the profile.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/denoiser.h"
#include "plan/plan.h"
#include "stats/parts_folder.h"
#include "stats/profile.h"

namespace sparsescope {

// What is recorded, and where it goes.
struct RecordOptions {
  TileShape tile;
  std::vector<Partition> partitions;
  std::string partition_remark;  // what was left out, for the manifest; may be empty
  int64_t rows_per_tile = 0;     // 0: all rows
  std::string prompts = "all";   // index lists, see site_selection.h
  std::string steps = "all";
  std::string layers = "all";
  std::string maps;          // "step=0,10 layer=3 head=*"
  std::string keep_qkv;      // the same for sites whose q, k, v are kept whole
  bool keep_videos = false;  // and what each prompt is sampled to
  uint64_t seed = 0;         // of the samples of rows, tiles, steps and probes
  // Query tiles of every recorded call whose errors under all settings are measured; 0: none.
  int64_t error_tiles = 0;
  // Steps of every prompt at which the settings' effects on the model's output are measured, and
  // the random directions of each; 0: none.
  int64_t sensitivity = 0;
  int64_t probes = 4;
  const Plan* around = nullptr;  // in force while effects are measured; null: dense attention
  std::string around_hash;       // of its file
  bool effects_only = false;     // no other statistics; only the steps with effects are recorded
};

// A model, what it is asked to draw, and what is recorded meanwhile.
struct TrajectoryRun {
  VideoTransformer* model = nullptr;
  const CheckpointFolder* folder = nullptr;
  const PromptSet* prompts = nullptr;
  SamplingOptions sampling;
  std::vector<HostTensor> latents;  // [1, C, F, Hl, Wl] a prompt; empty: drawn from the seed
  RecordOptions record;
  OutputOptions out;
  Impl impl = Impl::kReference;
  ThreadPool* pool = nullptr;
  std::string precision;  // "fp32", "bf16": compute type of the model
  std::string command_line;
};

struct ProfileOutcome {
  int64_t prompts = 0, branches = 0, steps = 0, layers = 0, heads = 0;
  int64_t partitions = 0, legal_partitions = 0;  // VMoBA's: measured, and of the grid
  int64_t sites = 0;                             // recorded attention calls
  int64_t resumed_steps = 0;                     // taken from parts of an earlier start
  double seconds = 0;                            // of sampling, earlier starts included
  double attention_seconds = 0;                  // kernel and reducers, this start alone
  uintmax_t file_bytes = 0;
};

// Rows a tile of a sample that the statistics in need of an order within a row are measured on.
inline constexpr int64_t kSampledRowsPerTile = 4;
// That many above 8,192 tokens, else all (0).
int64_t default_rows_per_tile(const TokenGrid& grid);
// Errors of a head average over all its sites: a few tiles of each will do, and fewer the more
// partitions each of them is measured under.
int64_t default_error_tiles(int64_t num_tiles, int64_t num_partitions);
// RUN.h5 stands whole at the end; until then finished steps stand in its parts folder.
// Error(kInterrupted) where the monitor asks to stop, between two steps.
ProfileOutcome profile_trajectories(const TrajectoryRun& run, const RunMonitor& monitor);

}  // namespace sparsescope
