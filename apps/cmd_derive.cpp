// derive RUN.h5 --method ... --target ... --out PLAN.json: settings of a sparse method from a
// profile.
#include <memory>

#include "apps/command.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"
#include "derive/baselines.h"
#include "derive/derive.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

struct DeriveArguments {
  std::filesystem::path profile, effects, costs, out;
  std::string method, target, per = "layer", weighing = "auto", baseline;
  std::string dense_first_steps = "auto", dense_layers = "auto";
  double confidence = 0.95;
  bool force = false;
};

std::string expected_line(const char* name, const Expected& expected) {
  return fmt::format("{:<18}{:.4f}   {:.4f} to {:.4f} on a new prompt ({:.0f} %)", name,
                     expected.mean, expected.low, expected.high, 100.0 * expected.confidence);
}

std::string list_text(const std::vector<int64_t>& values) {
  return values.empty() ? "none" : fmt::format("{}", fmt::join(values, ","));
}

void print_plan(const CommandContext& context, const DeriveArguments& arguments, const Plan& plan) {
  context.print(fmt::format("{}: {} at {}, per {}", arguments.out.string(), to_string(plan.method),
                            arguments.target, arguments.per));
  context.print(expected_line("expected density", *plan.expected_density));
  context.print(expected_line("expected recall", *plan.expected_recall));
  if (plan.expected_error) context.print(expected_line("expected error", *plan.expected_error));
  if (plan.expected_speedup) {
    context.print(expected_line("expected speed-up", *plan.expected_speedup));
  }
  context.print(fmt::format("{:<18}{}", "rules", plan.rules.size()));
  context.print(fmt::format("{:<18}{}", "dense steps", list_text(plan.dense_steps)));
  context.print(fmt::format("{:<18}{}", "dense layers", list_text(plan.dense_layers)));
  if (plan.method == Method::kDense) {
    context.warn(plan.evidence.at("cost").at("dense_because").get<std::string>());
  }
  const Json json = plan_to_json(plan);
  context.print_json({{"out", arguments.out.string()},
                      {"method", to_string(plan.method)},
                      {"rules", plan.rules.size()},
                      {"dense", json.at("dense")},
                      {"expected", json.at("expected")}});
}

void run(CommandContext& context, const DeriveArguments& arguments) {
  DeriveOptions options;
  options.method = parse_sparse_method(arguments.method);
  options.target = parse_target(arguments.target);
  options.per = parse_granularity(arguments.per);
  options.weighing = parse_weighing(arguments.weighing);
  options.confidence = arguments.confidence;
  options.dense_first_steps = parse_dense_first_steps(arguments.dense_first_steps);
  options.dense_layers = parse_dense_layers(arguments.dense_layers);
  check_writable_output(arguments.out, arguments.force);

  const Profile profile = read_profile(arguments.profile);
  options.source = {{"profile",
                     {{"file", arguments.profile.filename().string()},
                      {"sha256", sha256_file(arguments.profile)}}},
                    {"command_line", context.command_line}};
  std::optional<Profile> effects;
  if (!arguments.effects.empty()) {
    effects = read_profile(arguments.effects);
    options.effects = &*effects;
    options.source["effects"] = {{"file", arguments.effects.filename().string()},
                                 {"sha256", sha256_file(arguments.effects)}};
  }
  std::optional<KernelCosts> costs;
  if (!arguments.costs.empty()) {
    costs = read_costs(arguments.costs);
    options.costs = &*costs;
    options.source["costs"] = {{"file", arguments.costs.filename().string()},
                               {"sha256", sha256_file(arguments.costs)}};
  }
  const Plan plan = arguments.baseline.empty()
                        ? derive_plan(profile, options)
                        : derive_baseline(profile, options, parse_baseline(arguments.baseline));
  write_plan(arguments.out, plan, arguments.force);
  print_plan(context, arguments, plan);
}

}  // namespace

void add_derive_command(CLI::App& root, CommandContext& context) {
  CLI::App* command =
      add_command(root, context, "derive", "Derives sparse-attention settings from a profile",
                  "sparsescope derive run.h5 --method vsa --target recall=0.95 --out plan.json");
  const auto arguments = std::make_shared<DeriveArguments>();
  command->add_option("RUN", arguments->profile, "A profile (HDF5)")->required();
  command->add_option("--method", arguments->method, "bsa, vsa or vmoba")->required();
  command
      ->add_option("--target", arguments->target,
                   "recall=R: the least density with that recall; density=D: the least error, or "
                   "the highest recall, within that density; error=E: the least density with that "
                   "relative error of the model's output; speedup=X: the least error, or the "
                   "highest recall, at that predicted speed-up of attention (needs --costs)")
      ->required();
  command->add_option("--weigh", arguments->weighing,
                      "What a budget is spent by: effect on the output, recall, or auto: effect "
                      "where it was measured (auto)");
  command->add_option("--effects", arguments->effects,
                      "Another profile whose effects are taken, measured around an earlier plan");
  command->add_option("--costs", arguments->costs,
                      "Measured kernel costs (bench costs): time is spent instead of density, and "
                      "settings that do not beat dense attention are not taken");
  command->add_option("--per", arguments->per,
                      "What has a setting of its own: model, layer, head or head-step (layer)");
  command->add_option("--baseline", arguments->baseline,
                      "Not the best plan but one to compare with, within density=D and with "
                      "nothing dense that is not named: " +
                          baseline_names());
  command->add_option("--confidence", arguments->confidence,
                      "Of the intervals for a new prompt (0.95)");
  command->add_option("--dense-first-steps", arguments->dense_first_steps,
                      "Steps that stay dense: auto, or a number (auto)");
  command->add_option("--dense-layers", arguments->dense_layers,
                      "Layers that stay dense: auto, none, or a list such as 0,7 (auto)");
  command->add_option("--out", arguments->out, "Plan to write (JSON)")->required();
  command->add_flag("--force", arguments->force, "Replace an existing plan");
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
