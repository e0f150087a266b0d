#include "apps/bench_costs.h"

#include <filesystem>
#include <memory>

#include "apps/timing_environment.h"
#include "bench/costs_bench.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "derive/candidates.h"
#include "derive/derive.h"
#include "sparse/cost_measurement.h"
#include "stats/partition_request.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

constexpr int kMaxRepeats = 10000;

struct CostsArguments {
  CostsBenchOptions options;
  std::filesystem::path profile, out;
  std::string shape, grid, tile, partitions;
  std::vector<std::string> methods;
  bool force = false;
};

// Grid, tile, heads and partitions of a profile; what else is given overrides them.
void take_profile(const std::filesystem::path& path, CostsBenchOptions& options) {
  const Profile profile = read_profile(path);
  options.shape.grid = profile.grid;
  options.shape.tokens = profile.grid.tokens();
  options.shape.heads = profile.heads;
  const auto head_dim = profile.manifest.find("head_dim");
  if (head_dim != profile.manifest.end()) options.shape.head_dim = head_dim->get<int64_t>();
  options.tile = profile.tile;
  for (const Method method : options.methods) {
    if (method == Method::kVmoba) options.partitions = measured_partitions(profile);
  }
}

void take_shape(const CostsArguments& arguments, CostsBenchOptions& options) {
  if (!arguments.shape.empty()) {
    const std::vector<int64_t> sizes = parse_extents(arguments.shape, "--shape", 4);
    options.shape.batch = sizes[0];
    options.shape.heads = sizes[1];
    options.shape.tokens = sizes[2];
    options.shape.head_dim = sizes[3];
  }
  if (!arguments.grid.empty()) {
    const std::vector<int64_t> grid = parse_triple(arguments.grid, "--grid");
    options.shape.grid = {grid[0], grid[1], grid[2]};
    options.partitions = default_partitions(options.shape.grid);
  }
  if (!arguments.tile.empty()) {
    const std::vector<int64_t> tile = parse_triple(arguments.tile, "--tile");
    options.tile = {tile[0], tile[1], tile[2]};
  }
  if (arguments.partitions.empty()) return;
  const TileGrid tiles(options.shape.grid, options.tile);
  options.partitions = parse_partitions(arguments.partitions, tiles).partitions;
}

void run(CommandContext& context, const CostsArguments& arguments) {
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      !arguments.profile.empty() || (!arguments.shape.empty() && !arguments.grid.empty()),
      "expected --profile, or --shape and --grid");
  check_writable_output(arguments.out, arguments.force);
  CostsBenchOptions options = arguments.options;
  if (!arguments.methods.empty()) options.methods.clear();
  for (const std::string& method : arguments.methods) {
    options.methods.push_back(parse_sparse_method(method));
  }
  if (!arguments.profile.empty()) take_profile(arguments.profile, options);
  take_shape(arguments, options);
  options.shape.dtype = context.compute_dtype();
  options.threads = context.threads();
  options.seed = context.common.seed;
  options.machine = timing_machine();
  options.command_line = context.command_line;
  const KernelCosts costs = bench_costs(options, default_cpu_impl(), context.monitor());
  write_costs(arguments.out, costs, arguments.force);
  context.print(to_table(costs));
  context.print_json(costs_to_json(costs));
}

}  // namespace

void add_bench_costs(CLI::App& bench, CommandContext& context) {
  CLI::App* command = add_command(bench, context, "costs",
                                  "Measures what sparse settings cost in time, for derive --costs",
                                  "sparsescope bench costs --profile run.h5 --out costs.json");
  const auto arguments = std::make_shared<CostsArguments>();
  CostsBenchOptions& options = arguments->options;
  options.repeats = kCostRepeats;
  command->add_option("--profile", arguments->profile,
                      "A profile whose grid, tile, heads and partitions are taken");
  command->add_option("--shape", arguments->shape, "B,H,S,D; S = prefix + grid + suffix");
  command->add_option("--grid", arguments->grid, "T,H,W in tokens");
  command->add_option("--tile", arguments->tile, "Tile in tokens, t,h,w (4,4,4)");
  command->add_option("--prefix", options.shape.prefix, "Text tokens before the video")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--suffix", options.shape.suffix, "Text tokens behind the video")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--methods", arguments->methods, "Some of vsa,bsa,vmoba (all)")
      ->delimiter(',');
  command->add_option("--partitions", arguments->partitions,
                      "VMoBA's: \"st:4,4,8 temporal:2\" (the profile's, or those of the grid)");
  command->add_option("--repeats", options.repeats, "Timed rounds, after one that does not count")
      ->check(CLI::Range(1, kMaxRepeats))
      ->capture_default_str();
  command->add_option("--out", arguments->out, "Costs to write (JSON)")->required();
  command->add_flag("--force", arguments->force, "Replace existing costs");
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
