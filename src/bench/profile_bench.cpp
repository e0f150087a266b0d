#include "bench/profile_bench.h"

#include <stdlib.h>

#include "bench/agreement.h"
#include "capture/dense_hook.h"
#include "capture/profiling_hook.h"
#include "core/error.h"
#include "stats/partition_request.h"
#include "stats/profile_request.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

// Recording is to change rounding alone; a trajectory of many steps enlarges that.
constexpr double kTrajectoryBound = 1e-3;

// A fresh folder, removed with everything in it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const fs::path& parent) {
    std::string pattern = (parent / "sparsescope-bench-XXXXXX").string();
    SPARSESCOPE_CHECK(ErrorKind::kResource, mkdtemp(pattern.data()) != nullptr,
                      "{}: no folder for the profiles can be made", pattern);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Adds up the time that another hook takes.
class TimedHook : public AttentionHook {
 public:
  TimedHook(AttentionHook& hook, TimeSource source) : hook_(hook), source_(source) {}
  MemorySpace space() const override { return hook_.space(); }
  void attend(const AttentionCall& call) override {
    const double start = now_seconds(source_);
    hook_.attend(call);
    seconds_ += now_seconds(source_) - start;
  }
  double seconds() const { return seconds_; }

 private:
  AttentionHook& hook_;
  TimeSource source_;
  double seconds_ = 0;
};

class ProfileBench {
 public:
  ProfileBench(const ProfileBenchOptions& options, const RunMonitor& monitor)
      : options_(options),
        monitor_(monitor),
        scratch_(options.scratch),
        impl_(default_impl(options.sampling.load.device)),
        loaded_(load_sampling(options.sampling)),
        pool_(options.threads),
        denoiser_(*loaded_.model, loaded_.folder, loaded_.sampling) {
    record_.tile = options.tile;
    record_.partitions =
        parse_partitions(options.partitions, TileGrid(denoiser_.token_grid(), record_.tile))
            .partitions;
    record_.rows_per_tile =
        options.rows_per_tile.value_or(default_rows_per_tile(denoiser_.token_grid()));
    record_.seed = options.sampling.seed;
  }

  ProfileBenchReport run() {
    ProfileBenchReport report = header();
    report.deviation = compare_trajectories();
    report.bound = kTrajectoryBound;
    require_agreement("the recorded trajectory", report.deviation, report.bound);
    run_profile_once();  // its warm-up, and the proof that it ends

    std::vector<double> plain, plain_attention, recorded, recorded_attention, profile, overhead;
    for (int round = 0; round < options_.timing.repeats; ++round) {
      const Run dense = run_plain();
      const Run statistics = run_recorded();
      plain.push_back(dense.whole);
      plain_attention.push_back(dense.attention);
      recorded.push_back(statistics.whole);
      recorded_attention.push_back(statistics.attention);
      profile.push_back(run_profile_once());
      overhead.push_back(profile.back() / plain.back());
      report_progress(monitor_, round + 1, options_.timing.repeats,
                      fmt::format("round {}/{}", round + 1, options_.timing.repeats));
    }
    report.plain = {distribution_of(plain), distribution_of(plain_attention)};
    report.recorded = {distribution_of(recorded), distribution_of(recorded_attention)};
    report.profile = distribution_of(profile);
    report.overhead = distribution_of(overhead);
    return report;
  }

 private:
  struct Run {
    double whole = 0, attention = 0;  // seconds
    std::vector<HostTensor> latents;  // the last ones, a prompt
  };

  ProfileBenchReport header() const {
    const ModelInfo& info = loaded_.model->info();
    return {.machine = describe_machine(impl_, options_.sampling.load.device, options_.environment),
            .grid = denoiser_.token_grid(),
            .prompts = num_prompts(),
            .branches = denoiser_.num_branches(),
            .steps = loaded_.sampling.steps,
            .layers = info.layers,
            .heads = info.heads,
            .precision = std::string(dtype_name(options_.sampling.load.compute)),
            .threads = options_.threads,
            .timing = options_.timing,
            .command_line = options_.command_line};
  }

  int64_t num_prompts() const { return std::ssize(loaded_.prompts.conditional); }
  double now() const { return now_seconds(options_.timing.source); }

  template <typename AfterStep>
  Run sample(AttentionHook& hook, const AfterStep& after_step) {
    Run run;
    TimedHook timed(hook, options_.timing.source);
    const double start = now();
    for (int64_t prompt = 0; prompt < num_prompts(); ++prompt) {
      TrajectoryState state;
      state.latents = loaded_.latents.empty() ? denoiser_.initial_noise(prompt)
                                              : loaded_.latents[static_cast<size_t>(prompt)];
      for (int64_t step = 0; step < loaded_.sampling.steps; ++step) {
        check_stop(monitor_);
        denoiser_.step(state, loaded_.prompts, prompt, timed);
        after_step();
      }
      run.latents.push_back(std::move(state.latents));
    }
    run.whole = now() - start;
    run.attention = timed.seconds();
    return run;
  }

  Run run_plain() {
    DenseHook hook(impl_, pool_);
    return sample(hook, [] {});
  }

  Run run_recorded() {
    ProfilingHook hook({.tile = record_.tile,
                        .partitions = record_.partitions,
                        .rows_per_tile = record_.rows_per_tile,
                        .seed = record_.seed},
                       impl_, pool_);
    return sample(hook, [&] { hook.take(); });
  }

  // Also the warm-up of both.
  double compare_trajectories() {
    const Run plain = run_plain(), recorded = run_recorded();
    double worst = 0;
    for (size_t i = 0; i < plain.latents.size(); ++i) {
      worst = std::max(worst, deviation(recorded.latents[i].values, plain.latents[i].values));
    }
    return worst;
  }

  double run_profile_once() {
    TrajectoryRun run;
    run.model = loaded_.model.get();
    run.folder = &loaded_.folder;
    run.prompts = &loaded_.prompts;
    run.sampling = loaded_.sampling;
    run.latents = loaded_.latents;
    run.record = record_;
    run.out = {.path = scratch_.path() / "profile.h5", .replace = true, .resume = false};
    run.impl = impl_;
    run.pool = &pool_;
    run.precision = dtype_name(options_.sampling.load.compute);
    run.command_line = options_.command_line;
    const double start = now();
    profile_trajectories(run,
                         {.progress = {}, .note = {}, .stop_requested = monitor_.stop_requested});
    return now() - start;
  }

  const ProfileBenchOptions& options_;
  const RunMonitor& monitor_;
  ScratchFolder scratch_;
  Impl impl_;
  LoadedSampling loaded_;
  ThreadPool pool_;
  Denoiser denoiser_;
  RecordOptions record_;
};

}  // namespace

ProfileBenchReport bench_profile(const ProfileBenchOptions& options, const RunMonitor& monitor) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.timing.repeats >= 1,
                    "--repeats: expected at least 1, found {}", options.timing.repeats);
  return ProfileBench(options, monitor).run();
}

}  // namespace sparsescope
