#include "stats/profile_manifest.h"

#include <fmt/format.h>

#include "core/sha256.h"
#include "kernels/cuda/cuda_attention.h"

namespace sparsescope {
namespace {

Json triple(const TokenGrid& grid) { return {grid.t, grid.h, grid.w}; }
Json triple(const TileShape& tile) { return {tile.t, tile.h, tile.w}; }

std::vector<std::string> hash_each(const std::vector<HostTensor>& tensors) {
  std::vector<std::string> hashes;
  for (const HostTensor& tensor : tensors) {
    Sha256 hash;
    const std::string shape = shape_to_string(tensor.shape);
    hash.update(shape.data(), shape.size());
    hash.update(tensor.values.data(), tensor.values.size() * sizeof(float));
    hashes.push_back(hash.hex());
  }
  return hashes;
}

// What a single transformer's settings do not hold.
void add_expert_settings(Json& settings, const SampledTrajectories& run, const Denoiser& denoiser) {
  if (denoiser.guided()) settings["guidance_2"] = denoiser.guidance_of(kLowNoise);
  settings["experts"] = {{"boundary_ratio", denoiser.boundary()->ratio},
                         {"boundary_timestep", denoiser.boundary()->timestep},
                         {"of_step", denoiser.experts()},
                         {"checkpoint_hashes", run.model.expert_hashes},
                         {"config_2", run.folder.config_2.value_or(Json())}};
}

}  // namespace

std::string path_tail(const std::filesystem::path& path) {
  const std::filesystem::path clean = std::filesystem::absolute(path).lexically_normal();
  const std::filesystem::path last = clean.has_filename() ? clean : clean.parent_path();
  const std::filesystem::path above = last.parent_path().filename();
  return above.empty() ? last.filename().string() : (above / last.filename()).string();
}

std::vector<std::string> prompt_hashes(const PromptSet& prompts) {
  return hash_each(prompts.conditional);
}

Json build_manifest(Impl impl, int threads) {
  const std::string version = SPARSESCOPE_VERSION;
  return {{"producer", "sparsescope " + version},
          {"build",
           {{"version", version},
            {"compiler", __VERSION__},
            {"kernels", std::string(impl_name(impl))}}},
          {"device", is_cuda(impl) ? cuda::current_device().name : "cpu"},
          {"threads", threads}};
}

Json record_manifest(const RecordOptions& record, const TokenGrid& grid, Impl impl) {
  Json partitions = Json::array();
  for (const Partition& partition : record.partitions) partitions.push_back(to_string(partition));
  Json approximations = Json::array();
  if (is_cuda(impl)) {
    approximations.push_back(
        "attention multiplies 16-bit elements with fp32 sums; probabilities are rounded before "
        "they meet v");
  }
  if (record.rows_per_tile > 0) {
    approximations.push_back(fmt::format(
        "coverage_row and vmoba statistics: {} stratified rows a tile", record.rows_per_tile));
  }
  if (record.error_tiles > 0) {
    approximations.push_back(
        fmt::format("error curves: {} query tiles of each call", record.error_tiles));
  }
  if (record.sensitivity > 0) {
    approximations.push_back(
        fmt::format("effects on the output: first order in the heads' outputs, {} random "
                    "directions, {} steps a prompt",
                    record.probes, record.sensitivity));
  }
  Json manifest = {{"grid", triple(grid)},
                   {"tile", triple(record.tile)},
                   {"partitions", partitions},
                   {"partition_remark", record.partition_remark},
                   {"rows_per_tile", record.rows_per_tile},
                   {"record_prompts", record.prompts},
                   {"record_steps", record.steps},
                   {"record_layers", record.layers},
                   {"maps", record.maps},
                   {"error_tiles", record.error_tiles},
                   {"sensitivity", record.sensitivity},
                   {"probes", record.sensitivity > 0 ? record.probes : 0},
                   {"around", record.around_hash},
                   {"effects_only", record.effects_only},
                   {"statistics", "accumulated in fp32 and fp64, stored as fp32"},
                   {"approximations", approximations}};
  if (!record.keep_qkv.empty()) manifest["keep_qkv"] = record.keep_qkv;
  if (record.keep_videos) manifest["keep_videos"] = true;
  return manifest;
}

Json sampling_settings(const SampledTrajectories& run, const Denoiser& denoiser) {
  const Scheduler& scheduler = denoiser.scheduler();
  Json settings;
  settings["family"] = run.model.family;
  settings["class"] = run.model.class_name;
  settings["checkpoint_hash"] = run.model.checkpoint_hash;
  settings["head_dim"] = run.model.head_dim;
  settings["config"] = run.folder.config.value_or(Json());
  settings["prompts"] = run.prompts.names;
  settings["prompt_hashes"] = prompt_hashes(run.prompts);
  if (denoiser.guided()) settings["unconditional_hashes"] = hash_each(run.prompts.unconditional);
  settings["scheduler"] = scheduler.name();
  settings["shift"] = scheduler.shift();
  settings["timesteps"] = scheduler.timesteps();
  settings["sigmas"] = scheduler.sigmas();
  settings["steps"] = run.sampling.steps;
  settings["guidance"] = denoiser.guidance_of(kHighNoise);
  if (denoiser.boundary()) add_expert_settings(settings, run, denoiser);
  settings["seed"] = run.sampling.seed;
  settings["rng_key"] = std::to_string(run.sampling.seed);
  settings["latents"] =
      run.latents.empty() ? Json("drawn from the seed") : Json(hash_each(run.latents));
  settings["latent_shape"] = run.sampling.latent_shape;
  settings["precision"] = run.precision;
  settings["version"] = SPARSESCOPE_VERSION;
  settings["kernels"] = std::string(impl_name(run.impl));
  return settings;
}

Json trajectory_settings(const TrajectoryRun& run, const Denoiser& denoiser) {
  Json settings = record_manifest(run.record, denoiser.token_grid(), run.impl);
  settings.update(sampling_settings({.model = run.model->info(),
                                     .folder = *run.folder,
                                     .prompts = *run.prompts,
                                     .sampling = run.sampling,
                                     .latents = run.latents,
                                     .precision = run.precision,
                                     .impl = run.impl},
                                    denoiser));
  if (run.precision != "fp32") {
    settings["approximations"].push_back("the model computes in " + run.precision);
  }
  return settings;
}

}  // namespace sparsescope
