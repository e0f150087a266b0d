// tune CHECKPOINT ... --out PLAN.json: profile, derive, validate and repair until a plan holds.
#include <memory>

#include "apps/command.h"
#include "apps/sampling_options.h"
#include "apps/timing_environment.h"
#include "core/error.h"
#include "tune/sweep.h"
#include "tune/trial_json.h"
#include "tune/tune.h"

namespace sparsescope {
namespace {

constexpr int kMissedTarget = 6;  // exit code

struct TuneArguments {
  TuneRequest request;
  SamplingTexts texts;
  bool sweep = false;
  std::string densities = "0.125,0.25,0.375,0.5,0.75";
  std::string method = "vsa", target, per = "head-step", tile = "4,4,4", costs;
};

void print_result(const CommandContext& context, const TuneArguments& arguments,
                  const TuneResult& result) {
  context.print(fmt::format("{:<8} {:>8} {:>15} {:>12} {:>18} {:>9}  {}", "plan", "density",
                            "error foretold", "error found", "speed-up foretold", "found", "how"));
  for (size_t i = 0; i < result.tried.size(); ++i) {
    const TunedPlan& plan = result.tried[i];
    context.print(
        fmt::format("{:<8} {:>8.4f} {:>15.4f} {:>12.4f} {:>18} {:>9.2f}  {}{}", plan.name,
                    plan.trial.density, plan.foretold, plan.trial.error,
                    plan.speedup_foretold ? fmt::format("{:.2f}", *plan.speedup_foretold) : "-",
                    plan.trial.speedup(), plan.how, i == result.chosen ? "  <- chosen" : ""));
  }
  const Expected& expected = *result.plan.expected_error;
  const SummaryValue& found = result.report.summary.at("output_rel_l2");
  context.print(
      fmt::format("{}: expected error {:.4f}, {:.4f} to {:.4f} on a new prompt ({:.0f} %)",
                  arguments.request.out.path.string(), expected.mean, expected.low, expected.high,
                  100.0 * expected.confidence));
  if (result.plan.evidence.at("cost").contains("dense_because")) {
    context.warn(result.plan.evidence.at("cost").at("dense_because").get<std::string>());
  }
  context.print(fmt::format(
      "held-out error {:.4f} at density {:.4f} and speed-up {:.2f} on {} prompts: {} the "
      "interval, target {} {}",
      found.value, result.report.summary.at("density").value,
      result.report.summary.at("speedup").value, result.report.prompts.size(),
      result.inside ? "inside" : "OUTSIDE", arguments.target, result.holds ? "holds" : "MISSED"));
  context.print_json({{"out", arguments.request.out.path.string()},
                      {"tried", tried_to_json(result.tried)},
                      {"chosen", result.tried[result.chosen].name},
                      {"expected_error",
                       {{"mean", expected.mean}, {"low", expected.low}, {"high", expected.high}}},
                      {"heldout", summary_to_json(result.report)},
                      {"inside_interval", result.inside},
                      {"holds", result.holds}});
}

void print_sweep(const CommandContext& context, const SweepResult& result) {
  context.print(fmt::format("{:<6} {:<20} {:>7} {:>8}  {:<26} {:>9} {:>9}", "method", "plan",
                            "asked", "density", "error on held-out prompts", "attn. ms",
                            "speed-up"));
  for (const SweepPoint& point : result.points) {
    const PlanTrial& trial = point.trial;
    context.print(
        fmt::format("{:<6} {:<20} {:>7} {:>8.4f}  {:.4f} ({:.4f} to {:.4f}) {:>9.2f} {:>9.2f}{}",
                    to_string(point.method), point.kind, point.asked, trial.density, trial.error,
                    point.interval.low, point.interval.high, trial.sparse_ms, trial.speedup(),
                    point.knee ? "  knee" : ""));
  }
  for (const std::string& note : result.notes) context.print("not tried: " + note);
  context.print_json(sweep_to_json(result));
}

void run(CommandContext& context, TuneArguments& arguments) {
  TuneRequest& request = arguments.request;
  complete_sampling_request(context, arguments.texts, request.sampling);
  request.method = parse_sparse_method(arguments.method);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, arguments.sweep != !arguments.target.empty(),
                    "expected --target or --sweep, found {}", arguments.sweep ? "both" : "neither");
  if (!arguments.sweep) request.target = parse_target(arguments.target);
  request.per = parse_granularity(arguments.per);
  const std::vector<int64_t> tile = parse_triple(arguments.tile, "--tile");
  request.tile = {tile[0], tile[1], tile[2]};
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.heldout.empty() || request.heldout_embeds.empty(),
                    "expected --heldout or --heldout-embeds, not both");
  request.threads = context.threads();
  request.command_line = context.command_line;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !arguments.sweep || arguments.costs.empty(),
                    "--sweep: expected no --costs, its plans spend densities");
  if (arguments.costs == "measure") {
    request.measure_costs = true;
    request.machine = timing_machine();
  } else if (!arguments.costs.empty()) {
    request.costs = read_costs(arguments.costs);
  }
  if (arguments.sweep) {
    print_sweep(context, sweep(request, parse_reals(arguments.densities, "--densities", 0, 1),
                               context.monitor()));
    return;
  }
  const TuneResult result = tune(request, context.monitor());
  print_result(context, arguments, result);
  if (!result.holds) context.exit_code = kMissedTarget;
}

}  // namespace

void add_tune_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(
      root, context, "tune", "Profiles, derives, checks and repairs until a plan holds",
      "sparsescope tune data/tiny-wan --prompts data/tiny-wan/prompts/calibration.txt --heldout "
      "data/tiny-wan/prompts/heldout.txt --grid 8,16,16 --steps 8 --guidance 3 --method vsa "
      "--target error=0.1 --out plan.json");
  const auto arguments = std::make_shared<TuneArguments>();
  TuneRequest& request = arguments->request;
  add_sampling_options(*command, request.sampling, arguments->texts, checkpoint_defaults())
      ->required();
  add_max_memory_option(*command, request.sampling);
  command->add_option("--heldout", request.heldout,
                      "Prompts of the verdict (without them a quarter of --prompts is split off)");
  command->add_option("--heldout-embeds", request.heldout_embeds,
                      "The same as safetensors of embeddings");
  command->add_option("--method", arguments->method, "bsa, vsa or vmoba (vsa)");
  command->add_option("--target", arguments->target,
                      "error=E: the least density with that relative error of the model's output; "
                      "density=D: the least error within that density; speedup=X: the least "
                      "error at that speed-up of attention (needs --costs)");
  command->add_option("--costs", arguments->costs,
                      "Kernel costs: a file of bench costs, or measure: of this model, here. Time "
                      "is spent instead of density, and nothing is sparse that does not pay");
  command->add_flag("--sweep", arguments->sweep,
                    "Instead of a plan, a table of error against density and time of all methods "
                    "beside uniform, published, random and oracle plans");
  command->add_option("--densities", arguments->densities,
                      "Of --sweep (0.125,0.25,0.375,0.5,0.75)");
  command->add_option("--per", arguments->per,
                      "What has a setting of its own: model, layer, head or head-step (head-step)");
  command->add_option("--tile", arguments->tile, "Tile in tokens, t,h,w (4,4,4)");
  command->add_option("--partitions", request.partitions,
                      "VMoBA's partitions: auto, or like \"temporal:2 st:4,4,8\"");
  command->add_option("--derive-prompts", request.derive_prompts,
                      "Prompts that settings are derived from (6)");
  command->add_option("--check-prompts", request.check_prompts,
                      "Other prompts, on which plans are checked and repaired (6)");
  command
      ->add_option("--sensitivity", request.sensitivity,
                   "Steps of each prompt at which effects on the output are measured (2)")
      ->check(CLI::PositiveNumber);
  command->add_option("--rounds", request.rounds, "Plans tried at most, 2 at least (5)")
      ->check(CLI::PositiveNumber);
  command->add_option("--confidence", request.confidence, "Of the stated interval (0.95)");
  command->add_option("--out", request.out.path, "Plan, or table of --sweep, to write (JSON)")
      ->required();
  command->add_flag("--force", request.out.replace,
                    "Replace an existing plan, and the parts of another run");
  command->add_flag("--resume,!--no-resume", request.out.resume,
                    "Go on from what an earlier start finished (default)");
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
