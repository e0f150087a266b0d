#include "stats/profile_runner.h"

#include <algorithm>
#include <chrono>

#include "capture/dense_hook.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/hdf5_file.h"
#include "effects/site_recorder.h"
#include "stats/output_effects.h"
#include "stats/profile_builder.h"
#include "stats/profile_manifest.h"
#include "stats/profile_part.h"
#include "stats/profile_store.h"
#include "stats/run_keeper.h"
#include "stats/site_selection.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Above this many tokens the statistics that sort every row's masses are sampled.
constexpr int64_t kAllRowsTokens = 8192;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Killed between publishing the profile and removing the parts: the run is complete.
bool finished_before(const fs::path& path, const std::string& fingerprint) {
  if (!fs::exists(path) || !fs::exists(parts_folder_of(path))) return false;
  try {
    const Hdf5File file = Hdf5File::open(path);
    const Json manifest = parse_json(file.string_attribute("/", "manifest"), path.string());
    return manifest.value("fingerprint", Json()) == fingerprint;
  } catch (const Error&) {
    return false;  // whatever it is, it is not ours to replace
  }
}

class TrajectoryProfiler {
 public:
  TrajectoryProfiler(const TrajectoryRun& run, const RunMonitor& monitor)
      : run_(run),
        monitor_(monitor),
        denoiser_(*run.model, *run.folder, run.sampling),
        keeper_(run),
        settings_(trajectory_settings(run, denoiser_)) {
    const ModelInfo& info = run.model->info();
    const RecordOptions& record = run.record;
    prompts_ = parse_index_list(record.prompts, num_prompts(), "--record-prompts");
    steps_ = parse_index_list(record.steps, run.sampling.steps, "--record-steps");
    layers_ = parse_index_list(record.layers, info.layers, "--record-layers");
    maps_ =
        parse_site_selection(record.maps, run.sampling.steps, info.layers, info.heads, "--maps");
    for (int64_t step = 0; step < run.sampling.steps; ++step) {
      const auto named = [step](const SiteSelection& sites) {
        return !sites.steps.empty() && sites.steps[step] != 0;
      };
      if (steps_[step] != 0 || named(maps_) || named(keeper_.calls())) last_step_ = step;
    }
    if (keeper_.keeps_results()) last_step_ = run.sampling.steps - 1;
    for (int64_t step = 0; step < run.sampling.steps; ++step) {
      if (steps_[step] != 0) recorded_steps_.push_back(step);
    }
    check_inputs();
    check_effects();
  }

  ProfileOutcome run() {
    const std::string fingerprint = run_fingerprint(settings_);
    if (!run_.out.replace && finished_before(run_.out.path, fingerprint)) {
      fs::remove_all(parts_folder_of(run_.out.path));
      return summary_of_file();
    }
    check_writable_output(run_.out.path, run_.out.replace);
    const PartsFolder parts(run_.out, "sparsescope-profile-parts", settings_);
    keeper_.note_missing_codec(monitor_);
    SiteRecorder hook(hook_options(), run_.record.error_tiles, run_.impl, *run_.pool);
    if (run_.record.sensitivity > 0) make_output_effects();
    ProfileBuilder builder(header());
    for (int64_t prompt = 0; prompt < num_prompts(); ++prompt) {
      if (prompts_[prompt] != 0) run_prompt(prompt, parts, hook, builder);
    }
    Profile profile = builder.take(manifest(parts));
    profile.kept = keeper_.take();
    parts.publish([&](const fs::path& path) { write_profile(path, profile, true); });
    summary_.attention_seconds = hook.attention_seconds();
    summary_.file_bytes = fs::file_size(run_.out.path);
    return summary_;
  }

 private:
  int64_t num_prompts() const { return std::ssize(run_.prompts->conditional); }
  // Sampled along all trajectories.
  int64_t total_steps() const {
    return std::count(prompts_.begin(), prompts_.end(), uint8_t{1}) * (last_step_ + 1);
  }

  void check_inputs() const {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, num_prompts() > 0, "a profile needs at least one prompt");
    SPARSESCOPE_CHECK(ErrorKind::kUsage,
                      !denoiser_.guided() ||
                          run_.prompts->unconditional.size() == run_.prompts->conditional.size(),
                      "guidance {} needs an unconditional embedding of every prompt; give one or "
                      "use --guidance 1",
                      run_.sampling.guidance);
    SPARSESCOPE_CHECK(ErrorKind::kData,
                      run_.latents.empty() || std::ssize(run_.latents) == num_prompts(),
                      "latents: expected one for each of {} prompts, found {}", num_prompts(),
                      run_.latents.size());
    for (const HostTensor& latent : run_.latents) {
      SPARSESCOPE_CHECK(ErrorKind::kData, latent.shape == run_.sampling.latent_shape,
                        "latents: expected {}, found {}",
                        shape_to_string(run_.sampling.latent_shape), shape_to_string(latent.shape));
    }
  }

  void check_effects() const {
    const RecordOptions& record = run_.record;
    if (record.sensitivity == 0) return;
    SPARSESCOPE_CHECK(ErrorKind::kUsage,
                      std::find(layers_.begin(), layers_.end(), uint8_t{0}) == layers_.end(),
                      "--sensitivity: effects on the output belong to all {} layers; expected "
                      "--record-layers all, found {}",
                      layers_.size(), record.layers);
    if (record.around == nullptr) return;
    const Profile expected = header();
    const Plan& plan = *record.around;
    const bool fits = plan.grid == expected.grid && plan.tile == expected.tile &&
                      plan.num_steps == expected.steps && plan.model.layers == expected.layers &&
                      plan.model.heads == expected.heads;
    SPARSESCOPE_CHECK(ErrorKind::kUsage, fits,
                      "--around: expected a plan of grid {}, tiles {}, {} steps, {} layers and {} "
                      "heads, found grid {}, tiles {}, {} steps, {} layers and {} heads",
                      to_string(expected.grid), to_string(expected.tile), expected.steps,
                      expected.layers, expected.heads, to_string(plan.grid), to_string(plan.tile),
                      plan.num_steps, plan.model.layers, plan.model.heads);
  }

  ProfilingOptions hook_options() const {
    ProfilingOptions options;
    options.tile = run_.record.tile;
    options.partitions = run_.record.partitions;
    options.rows_per_tile = run_.record.rows_per_tile;
    options.seed = run_.record.seed;
    options.record = [this](const SiteKey& site) {
      if (run_.record.effects_only) return false;
      return (steps_[site.step] != 0 && layers_[site.layer] != 0) ||
             maps_.keeps(site.step, site.layer) || keeper_.calls().keeps(site.step, site.layer);
    };
    options.keep_map = [this](const SiteKey& site) { return maps_.keeps(site.step, site.layer); };
    return options;
  }

  Profile header() const {
    const ModelInfo& info = run_.model->info();
    const Scheduler& scheduler = denoiser_.scheduler();
    Profile profile;
    profile.grid = denoiser_.token_grid();
    profile.tile = run_.record.tile;
    profile.prompts = num_prompts();
    profile.branches = denoiser_.num_branches();
    profile.steps = run_.sampling.steps;
    profile.layers = info.layers;
    profile.heads = info.heads;
    profile.rows_per_tile = run_.record.rows_per_tile;
    profile.timestep = scheduler.timesteps();
    profile.sigma.assign(scheduler.sigmas().begin(), scheduler.sigmas().begin() + profile.steps);
    profile.expert = denoiser_.experts();
    profile.layer_name = info.layer_names;
    return profile;
  }

  void run_prompt(int64_t prompt, const PartsFolder& parts, SiteRecorder& hook,
                  ProfileBuilder& builder) {
    TrajectoryState state;
    state.latents = run_.latents.empty() ? denoiser_.initial_noise(prompt)
                                         : run_.latents[static_cast<size_t>(prompt)];
    for (int64_t step = 0; step <= last_step_; ++step) {
      const std::string name = part_file_name(prompt, step);
      std::optional<ProfilePart> part = parts.read(name, monitor_, [&](const fs::path& path) {
        return read_part_file(path, prompt, step, parts.fingerprint());
      });
      if (part) {
        ++summary_.resumed_steps;
      } else {
        check_stop(monitor_);
        part = run_step(prompt, step, std::move(state), hook);
        write_part_file(parts.path_of(name), *part, parts.fingerprint());
      }
      for (const SiteStatistics& site : part->sites) builder.add(site, maps_.heads);
      keeper_.add_part(parts.path_of(name), *part);
      summary_.sites += std::ssize(part->sites);
      summary_.seconds += part->seconds;
      state = std::move(part->state);
      report_progress(monitor_, ++finished_steps_, total_steps(),
                      fmt::format("prompt {}/{} step {}/{}", prompt + 1, num_prompts(), step + 1,
                                  last_step_ + 1));
    }
  }

  void make_output_effects() {
    const OutputEffectOptions options{.tile = run_.record.tile,
                                      .partitions = run_.record.partitions,
                                      .probes = run_.record.probes,
                                      .error_tiles = std::max<int64_t>(1, run_.record.error_tiles),
                                      .plan = run_.record.around,
                                      .seed = run_.record.seed};
    output_effects_.emplace(denoiser_, *run_.prompts, options, run_.impl, *run_.pool);
  }

  bool measures_effects(int64_t prompt, int64_t step) const {
    const std::vector<int64_t> steps =
        effect_steps(recorded_steps_, denoiser_.experts(), run_.record.sensitivity, prompt);
    return std::find(steps.begin(), steps.end(), step) != steps.end();
  }

  ProfilePart run_step(int64_t prompt, int64_t step, TrajectoryState state, SiteRecorder& hook) {
    SPARSESCOPE_ASSERT(state.next_step == step);
    const Clock::time_point start = Clock::now();
    const TrajectoryState before = state;
    RecordHook kept = keeper_.around(hook);
    denoiser_.step(state, *run_.prompts, prompt, kept);
    ProfilePart part;
    part.prompt = prompt;
    part.step = step;
    part.sites = hook.take();
    part.calls = kept.take();
    if (measures_effects(prompt, step)) output_effects_->add_to(before, prompt, part.sites);
    part.state = std::move(state);
    part.seconds = seconds_since(start);
    return part;
  }

  Json manifest(const PartsFolder& parts) {
    const Profile extents = header();
    summary_.prompts = extents.prompts;
    summary_.branches = extents.branches;
    summary_.steps = extents.steps;
    summary_.layers = extents.layers;
    summary_.heads = extents.heads;
    Json manifest = build_manifest(run_.impl, run_.pool->size());
    manifest["checkpoint"] = path_tail(run_.folder->root);
    manifest.update(settings_);
    manifest["fingerprint"] = parts.fingerprint();
    manifest["command_line"] = run_.command_line;
    manifest["started"] = parts.started();
    manifest["seconds"] = summary_.seconds;
    return manifest;
  }

  ProfileOutcome summary_of_file() const {
    const Profile profile = read_profile(run_.out.path);
    ProfileOutcome summary;
    summary.prompts = profile.prompts;
    summary.branches = profile.branches;
    summary.steps = profile.steps;
    summary.layers = profile.layers;
    summary.heads = profile.heads;
    summary.sites = std::count(profile.recorded.begin(), profile.recorded.end(), uint8_t{1});
    summary.resumed_steps = total_steps();
    summary.seconds = profile.manifest.value("seconds", 0.0);
    summary.file_bytes = fs::file_size(run_.out.path);
    return summary;
  }

  const TrajectoryRun& run_;
  const RunMonitor& monitor_;
  Denoiser denoiser_;
  RunKeeper keeper_;
  Json settings_;
  std::vector<uint8_t> prompts_, steps_, layers_;
  std::vector<int64_t> recorded_steps_;
  SiteSelection maps_;
  std::optional<OutputEffects> output_effects_;
  int64_t last_step_ = 0;
  int64_t finished_steps_ = 0;
  ProfileOutcome summary_;
};

}  // namespace

int64_t default_rows_per_tile(const TokenGrid& grid) {
  return grid.tokens() <= kAllRowsTokens ? 0 : kSampledRowsPerTile;
}

int64_t default_error_tiles(int64_t num_tiles, int64_t num_partitions) {
  constexpr int64_t kTilesPerSample = 16, kMostTiles = 4, kMostTilePartitions = 48;
  const int64_t affordable = kMostTilePartitions / std::max<int64_t>(1, num_partitions);
  return std::clamp<int64_t>(num_tiles / kTilesPerSample, 1,
                             std::clamp<int64_t>(affordable, 1, kMostTiles));
}

ProfileOutcome profile_trajectories(const TrajectoryRun& run, const RunMonitor& monitor) {
  return TrajectoryProfiler(run, monitor).run();
}

}  // namespace sparsescope
