// merge A.h5 B.h5 ... --out RUN.h5: one profile of shards, or of other prompts and seeds.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "apps/command.h"
#include "core/atomic_file.h"
#include "stats/profile_merge.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

struct MergeArguments {
  std::vector<std::filesystem::path> profiles;
  std::filesystem::path out;
  bool force = false;
};

void run(CommandContext& context, const MergeArguments& arguments) {
  check_writable_output(arguments.out, arguments.force);
  const Profile joined = merge_profiles(arguments.profiles);
  write_profile(arguments.out, joined, arguments.force);

  const std::string out = arguments.out.string();
  const auto sites = std::count(joined.recorded.begin(), joined.recorded.end(), uint8_t{1});
  const size_t sources = joined.manifest.at("sources").size();
  context.print(fmt::format(
      "{}: {} sites of {} heads ({} prompts, {} branches, {} steps, {} layers) from {} profiles",
      out, sites, joined.heads, joined.prompts, joined.branches, joined.steps, joined.layers,
      sources));
  if (sites < std::ssize(joined.recorded)) {
    context.print(fmt::format("{} of {} sites are still missing",
                              std::ssize(joined.recorded) - sites, joined.recorded.size()));
  }
  context.print_json({{"out", out},
                      {"sites", sites},
                      {"all_sites", joined.recorded.size()},
                      {"prompts", joined.prompts},
                      {"branches", joined.branches},
                      {"steps", joined.steps},
                      {"layers", joined.layers},
                      {"heads", joined.heads},
                      {"sources", sources}});
}

}  // namespace

void add_merge_command(CLI::App& root, CommandContext& context) {
  CLI::App* command =
      add_command(root, context, "merge", "Joins profiles of disjoint sites into one",
                  "sparsescope merge part0.h5 part1.h5 part2.h5 --out run.h5");
  const auto arguments = std::make_shared<MergeArguments>();
  command->add_option("RUNS", arguments->profiles, "Profiles (HDF5), at least two")->required();
  command->add_option("--out", arguments->out, "Profile to write (HDF5)")->required();
  command->add_flag("--force", arguments->force, "Replace an existing profile");
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
