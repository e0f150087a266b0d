// bench attention ... and bench profile CHECKPOINT ...: timings with ratios against LibTorch and
// against runs that record nothing. bench costs: bench_costs.cpp.
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <sstream>

#include "apps/bench_costs.h"
#include "apps/command.h"
#include "apps/sampling_options.h"
#include "apps/timing_environment.h"
#include "bench/attention_bench.h"
#include "bench/profile_bench.h"
#include "core/atomic_file.h"
#include "core/parse_numbers.h"

namespace sparsescope {
namespace {

constexpr int kMaxRepeats = 10000;

struct Outputs {
  std::filesystem::path json, csv;
  bool force = false;

  void check() const {
    if (!json.empty()) check_writable_output(json, force);
    if (!csv.empty()) check_writable_output(csv, force);
  }
  void write_json(const Json& report) const {
    if (!json.empty()) write_text_atomically(json, report.dump(1) + "\n", force);
  }
};

void add_run_options(CLI::App& command, TimingOptions& timing, Outputs& outputs) {
  command.add_option("--repeats", timing.repeats, "Timed rounds, after one that does not count")
      ->check(CLI::Range(1, kMaxRepeats))
      ->take_last()
      ->capture_default_str();
  command.add_flag_callback(
      "--processor-time", [&timing] { timing.source = TimeSource::kProcessor; },
      "Processor time of all threads instead of wall time: for a busy machine");
  command.add_option("--out", outputs.json, "Also write the JSON object to this file");
  command.add_flag("--force", outputs.force, "Replace existing output files");
}

struct AttentionArguments {
  AttentionBenchOptions options;
  std::string shape, grid, tile = "4,4,4", caches = "warm", partitions;
  Outputs outputs;
};

AttentionShape parse_shape(const CommandContext& context, const AttentionArguments& arguments) {
  AttentionShape shape = arguments.options.shape;
  const std::vector<int64_t> sizes = parse_extents(arguments.shape, "--shape", 4);
  const std::vector<int64_t> grid = parse_triple(arguments.grid, "--grid");
  shape.batch = sizes[0];
  shape.heads = sizes[1];
  shape.tokens = sizes[2];
  shape.head_dim = sizes[3];
  shape.grid = {grid[0], grid[1], grid[2]};
  shape.dtype = context.compute_dtype();
  return shape;
}

void run_attention(CommandContext& context, const AttentionArguments& arguments) {
  arguments.outputs.check();
  AttentionBenchOptions options = arguments.options;
  options.shape = parse_shape(context, arguments);
  const std::vector<int64_t> tile = parse_triple(arguments.tile, "--tile");
  options.tile = {tile[0], tile[1], tile[2]};
  std::istringstream partitions(arguments.partitions);
  for (std::string text; partitions >> text;) {
    options.partitions.push_back(parse_partition(text));
  }
  if (arguments.caches == "cold") options.caches = {CacheState::kCold};
  if (arguments.caches == "both") options.caches = {CacheState::kWarm, CacheState::kCold};
  options.threads = context.threads();
  options.seed = context.common.seed;
  options.environment = timing_environment();
  options.command_line = context.command_line;
  options.device = context.device();
  const Impl impl = default_impl(options.device);
  const AttentionReport report =
      bench_attention(options, impl, attention_kernels(impl), context.monitor());

  arguments.outputs.write_json(to_json(report));
  if (!arguments.outputs.csv.empty()) {
    write_text_atomically(arguments.outputs.csv, to_csv(report), arguments.outputs.force);
  }
  context.print(to_table(report));
  context.print_json(to_json(report));
}

void add_attention(CLI::App& bench, CommandContext& context) {
  CLI::App* command = add_command(
      bench, context, "attention", "Times dense, recording and sparse attention beside LibTorch's",
      "sparsescope bench attention --shape 1,3,2048,64 --grid 8,16,16 --dtype fp32 --threads 1");
  const auto arguments = std::make_shared<AttentionArguments>();
  AttentionBenchOptions& options = arguments->options;
  command->add_option("--shape", arguments->shape, "B,H,S,D; S = prefix + grid + suffix")
      ->required();
  command->add_option("--grid", arguments->grid, "T,H,W in tokens")->required();
  command->add_option("--tile", arguments->tile, "Tile in tokens, t,h,w")->capture_default_str();
  command->add_option("--prefix", options.shape.prefix, "Text tokens before the video")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--suffix", options.shape.suffix, "Text tokens behind the video")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--densities", options.densities, "Of the sparse runs: 0.5,0.25")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option(
          "--methods", options.methods,
          fmt::format("Some of {} (all); dense always runs", fmt::join(benchmark_methods(), ",")))
      ->delimiter(',');
  command->add_option("--partitions", arguments->partitions,
                      "VMoBA's: \"st:4,4,8 temporal:2\" (one that suits the grid)");
  command->add_flag("--backward", options.backward, "Also time gradients");
  command->add_flag(
      "--deterministic", options.deterministic,
      "Gradients the same bit for bit in every run, on a GPU too, where they are slower so");
  command->add_flag("--scaling", options.scaling, "Also time our dense attention with one thread");
  command->add_option("--cache", arguments->caches, "warm, cold (caches evicted before), or both")
      ->check(CLI::IsMember({"warm", "cold", "both"}))
      ->capture_default_str();
  command->add_option("--csv", arguments->outputs.csv, "Also write a line a run to this file");
  add_run_options(*command, options.timing, arguments->outputs);
  command->callback([&context, arguments] { run_attention(context, *arguments); });
}

struct ProfileArguments {
  ProfileBenchOptions options;
  SamplingTexts texts;
  std::string tile = "4,4,4";
  Outputs outputs;
};

void run_profile_bench(CommandContext& context, const ProfileArguments& arguments) {
  arguments.outputs.check();
  ProfileBenchOptions options = arguments.options;
  complete_sampling_request(context, arguments.texts, options.sampling);
  const std::vector<int64_t> tile = parse_triple(arguments.tile, "--tile");
  options.tile = {tile[0], tile[1], tile[2]};
  options.threads = context.threads();
  options.scratch = std::filesystem::temp_directory_path();
  options.environment = timing_environment();
  options.command_line = context.command_line;
  const ProfileBenchReport report = bench_profile(options, context.monitor());
  arguments.outputs.write_json(to_json(report));
  context.print(to_table(report));
  context.print_json(to_json(report));
}

void add_profile(CLI::App& bench, CommandContext& context) {
  CLI::App* command = add_command(
      bench, context, "profile", "Times whole profiles beside sampling without recording",
      "sparsescope bench profile data/tiny-wan --prompts data/tiny-wan/prompts/calibration.txt "
      "--grid 4,8,8 --steps 4 --repeats 3");
  const auto arguments = std::make_shared<ProfileArguments>();
  ProfileBenchOptions& options = arguments->options;
  options.timing.repeats = 5;
  add_sampling_options(*command, options.sampling, arguments->texts, checkpoint_defaults())
      ->required();
  add_max_memory_option(*command, options.sampling);
  command->add_option("--tile", arguments->tile, "Tile in tokens, t,h,w")->capture_default_str();
  command->add_option("--partitions", options.partitions,
                      "VMoBA's partitions: auto, or like \"temporal:2 st:4,4,8\"");
  command
      ->add_option("--rows-per-tile", options.rows_per_tile,
                   "Rows a tile for sorted statistics; 0 all (all up to 8192 tokens, else 4)")
      ->check(CLI::NonNegativeNumber);
  add_run_options(*command, options.timing, arguments->outputs);
  command->callback([&context, arguments] { run_profile_bench(context, *arguments); });
}

}  // namespace

void add_bench_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(
      root, context, "bench", "Timings with ratios against the reference engines",
      "sparsescope bench attention --shape 1,3,2048,64 --grid 8,16,16 --dtype fp32 --threads 1");
  command->require_subcommand(1);
  add_attention(*command, context);
  add_profile(*command, context);
  add_bench_costs(*command, context);
}

}  // namespace sparsescope
