// summary RUN.h5: what a profile says about the attention of a model.
#include <fmt/format.h>

#include <memory>

#include "apps/command.h"
#include "apps/summary_text.h"
#include "stats/profile_store.h"
#include "summary/summary_json.h"

namespace sparsescope {
namespace {

constexpr int kMostHeads = 1 << 20;

struct SummaryArguments {
  std::filesystem::path profile;
  SummaryOptions options;
  int top = 10;
};

void run(CommandContext& context, const SummaryArguments& arguments) {
  const Profile profile = read_profile(arguments.profile);
  const ProfileSummary summary = summarize_profile(profile, arguments.options);
  context.print(fmt::format(
      "{}: grid {}, tiles of {}; {} layers of {} heads; recorded: {} prompts, {} steps, {} "
      "branches",
      arguments.profile.string(), to_string(profile.grid), to_string(profile.tile), profile.layers,
      profile.heads, recorded_prompts(profile).size(), recorded_steps(profile).size(),
      profile.branches));
  context.print(summary_text(summary, static_cast<size_t>(arguments.top)));
  context.print_json(summary_to_json(summary, profile, arguments.profile.filename().string()));
}

}  // namespace

void add_summary_command(CLI::App& root, CommandContext& context) {
  CLI::App* command =
      add_command(root, context, "summary", "Says what a profile shows of a model's attention",
                  "sparsescope summary run.h5 --budget 0.25 --top 5");
  const auto arguments = std::make_shared<SummaryArguments>();
  command->add_option("RUN", arguments->profile, "A profile (HDF5)")->required();
  command->add_option("--budget", arguments->options.budget,
                      "Share of the pairs, tiles or blocks at which heads are classed, sets "
                      "compared and settings judged (0.25)");
  command->add_option("--top", arguments->top, "Heads in a list of heads; the JSON has all (10)")
      ->check(CLI::Range(1, kMostHeads));
  command->add_option("--confidence", arguments->options.confidence,
                      "Of the intervals by prompts (0.95)");
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
