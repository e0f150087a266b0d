#include "stats/profile_request.h"

#include <utility>

#include "core/error.h"
#include "core/partition_choice.h"
#include "core/sha256.h"
#include "stats/partition_request.h"
#include "stats/profile_qkv.h"

namespace sparsescope {
namespace {

RecordOptions record_options(const ProfileRequest& request, const TokenGrid& grid) {
  RecordOptions record;
  record.tile = request.tile;
  const TileGrid tiles(grid, request.tile);
  MeasuredPartitions measured = parse_partitions(request.partitions, tiles);
  record.partitions = std::move(measured.partitions);
  record.partition_remark = std::move(measured.remark);
  record.rows_per_tile = request.rows_per_tile.value_or(default_rows_per_tile(grid));
  record.prompts = request.record_prompts;
  record.steps = request.record_steps;
  record.layers = request.record_layers;
  record.maps = request.maps;
  record.keep_qkv = request.keep_qkv;
  record.keep_videos = request.keep_videos;
  record.seed = request.sampling.seed;
  record.error_tiles = request.error_tiles.value_or(
      request.effects_only ? 0
                           : default_error_tiles(tiles.num_tiles(), std::ssize(record.partitions)));
  record.sensitivity = request.sensitivity;
  record.probes = request.probes;
  record.effects_only = request.effects_only;
  return record;
}

ProfileOutcome with_partitions(ProfileOutcome summary, const RecordOptions& record,
                               const TokenGrid& grid) {
  summary.partitions = std::ssize(record.partitions);
  summary.legal_partitions = std::ssize(legal_partitions(grid));
  return summary;
}

ProfileOutcome profile_checkpoint(const ProfileRequest& request, const LoadedSampling& loaded,
                                  ThreadPool& pool, const RunMonitor& monitor) {
  TrajectoryRun run;
  run.model = loaded.model.get();
  run.folder = &loaded.folder;
  run.prompts = &loaded.prompts;
  run.sampling = loaded.sampling;
  run.latents = loaded.latents;
  const TokenGrid grid = loaded.model->token_grid(loaded.sampling.latent_shape);
  run.record = record_options(request, grid);
  std::optional<Plan> around;
  if (!request.around.empty()) {
    around = read_plan(request.around);
    run.record.around = &*around;
    run.record.around_hash = sha256_file(request.around);
  }
  run.out = request.out;
  run.impl = default_impl(request.sampling.load.device);
  run.pool = &pool;
  run.precision = dtype_name(request.sampling.load.compute);
  run.command_line = request.command_line;
  return with_partitions(profile_trajectories(run, monitor), run.record, grid);
}

ProfileOutcome profile_captures(const ProfileRequest& request, const RunMonitor& monitor) {
  const SamplingRequest& sampling = request.sampling;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, sampling.checkpoint.empty(),
                    "--qkv takes the place of a CHECKPOINT; expected one of them");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, sampling.grid.size() == 3,
                    "--qkv needs --grid T,H,W in tokens");
  ThreadPool pool(request.threads);
  QkvRun run;
  run.files = request.qkv;
  run.grid = {sampling.grid[0], sampling.grid[1], sampling.grid[2]};
  run.prefix = request.prefix;
  run.suffix = request.suffix;
  run.record = record_options(request, run.grid);
  run.out = request.out;
  run.impl = default_impl(request.sampling.load.device);
  run.pool = &pool;
  run.command_line = request.command_line;
  return with_partitions(profile_qkv(run, monitor), run.record, run.grid);
}

void check_effect_options(const ProfileRequest& request) {
  const auto check = [](bool holds, const char* option, const char* expected, int64_t found) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, holds, "{}: expected {}, found {}", option, expected,
                      found);
  };
  check(request.error_tiles.value_or(0) >= 0, "--error-tiles", "a number of query tiles, or 0",
        request.error_tiles.value_or(0));
  check(request.sensitivity >= 0, "--sensitivity", "a number of steps, or 0", request.sensitivity);
  check(request.probes >= 1, "--probes", "one random direction at least", request.probes);
  check(request.qkv.empty() || request.sensitivity == 0, "--sensitivity",
        "0 with --qkv: effects on the output need the model", request.sensitivity);
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    request.sensitivity > 0 || (request.around.empty() && !request.effects_only),
                    "--around, --effects-only: expected --sensitivity N beside them, found none");
}

void check_request(const ProfileRequest& request) {
  check_output(request.out);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.rows_per_tile.value_or(0) >= 0,
                    "--rows-per-tile: expected a number of rows, or 0 for all, found {}",
                    request.rows_per_tile.value_or(0));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.qkv.empty() || !request.keep_videos,
                    "--keep-videos: expected a CHECKPOINT to sample with, found --qkv");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !request.effects_only || request.keep_qkv.empty(),
                    "--effects-only records nothing else: expected no --keep-qkv, found '{}'",
                    request.keep_qkv);
  check_effect_options(request);
}

}  // namespace

ProfileOutcome run_profile(const ProfileRequest& request, const RunMonitor& monitor) {
  check_request(request);
  if (!request.qkv.empty()) return profile_captures(request, monitor);
  const LoadedSampling loaded = load_sampling(request.sampling);
  for (const std::string& warning : loaded.model->info().warnings) report_note(monitor, warning);
  ThreadPool pool(request.threads);
  return profile_checkpoint(request, loaded, pool, monitor);
}

ProfileOutcome run_profile(const ProfileRequest& request, const LoadedSampling& loaded,
                           ThreadPool& pool, const RunMonitor& monitor) {
  check_request(request);
  return profile_checkpoint(request, loaded, pool, monitor);
}

}  // namespace sparsescope
