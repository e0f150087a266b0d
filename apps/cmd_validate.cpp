// validate CHECKPOINT --plan PLAN.json ... --out REPORT.json: runs a plan with the real sparse
// kernels on prompts that its profile has not seen, and judges it against dense attention.
#include <memory>

#include "apps/command.h"
#include "apps/sampling_options.h"
#include "core/error.h"
#include "core/sha256.h"
#include "validate/plan_sampling.h"
#include "validate/validate.h"

namespace sparsescope {
namespace {

constexpr int kMissedRequirement = 6;  // exit code

struct ValidateArguments {
  SamplingRequest sampling;
  std::filesystem::path plan;
  OutputOptions out;
  SamplingTexts texts;
  std::string require, removal;
  std::filesystem::path videos;
};

SamplingRequest request_of(const CommandContext& context, const ValidateArguments& arguments) {
  SamplingRequest request = arguments.sampling;
  complete_sampling_request(context, arguments.texts, request);
  return request;
}

void print_alone(const CommandContext& context, const char* unit,
                 const std::vector<RemovalResult>& results) {
  for (const RemovalResult& result : results) {
    context.print(fmt::format("{:<18}{:>10.4f}   density {:.4f}",
                              fmt::format("{} {} alone", unit, result.index),
                              result.latent_rel_l2.value, result.density));
  }
}

void print_report(const CommandContext& context, const ValidateArguments& arguments,
                  const ValidationReport& report) {
  context.print(fmt::format("{}: {} prompts, {} sites and heads", arguments.out.path.string(),
                            report.prompts.size(), report.sites.size()));
  for (const std::string& name : summary_names()) {
    const auto found = report.summary.find(name);
    if (found == report.summary.end()) continue;
    const SummaryValue& entry = found->second;
    std::string line = fmt::format("{:<18}{:>10.4f}", name, entry.value);
    if (entry.low) line += fmt::format("   {:.4f} to {:.4f}", *entry.low, *entry.high);
    context.print(line);
  }
  for (const RequirementResult& result : report.requirements) {
    context.print(fmt::format("{:<18}{} {}: {}", result.requirement.name,
                              to_string(result.requirement.comparison), result.requirement.bound,
                              result.holds ? "holds" : "MISSED"));
  }
  print_alone(context, "layer", report.removal.layers);
  print_alone(context, "step", report.removal.steps);
  context.print_json({{"out", arguments.out.path.string()},
                      {"sites", report.sites.size()},
                      {"summary", summary_to_json(report)},
                      {"holds", report.holds()}});
}

void run(CommandContext& context, const ValidateArguments& arguments) {
  const std::vector<Requirement> requirements = parse_requirements(arguments.require);
  const RemovalUnits removal = parse_removal(arguments.removal);
  check_validation_outputs(arguments.out, arguments.videos);
  const Plan plan = read_plan(arguments.plan);
  const RunMonitor monitor = context.monitor();
  const SamplingRequest sampling =
      sampled_like_profile(request_of(context, arguments), plan, monitor);
  const LoadedSampling loaded = load_sampling(sampling);
  for (const std::string& warning : loaded.model->info().warnings) context.warn(warning);
  for (const std::string& prompt : seen_prompts(plan, loaded.prompts)) {
    context.warn(fmt::format(
        "the plan was made from the prompt \"{}\"; only unseen prompts can judge it", prompt));
  }

  ThreadPool pool(context.threads());
  const ValidationRequest request{.folder = loaded.folder,
                                  .model = *loaded.model,
                                  .plan = plan,
                                  .plan_hash = sha256_file(arguments.plan),
                                  .prompts = loaded.prompts,
                                  .sampling = loaded.sampling,
                                  .latents = loaded.latents,
                                  .requirements = requirements,
                                  .impl = default_impl(sampling.load.device),
                                  .pool = pool,
                                  .precision = std::string(dtype_name(sampling.load.compute)),
                                  .out = arguments.out,
                                  .videos = arguments.videos,
                                  .removal = removal};
  const ValidationReport report = run_validation(request, monitor);
  print_report(context, arguments, report);
  if (!report.holds()) context.exit_code = kMissedRequirement;
}

}  // namespace

void add_validate_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(
      root, context, "validate", "Judges a plan against dense attention on held-out prompts",
      "sparsescope validate data/tiny-wan --plan plan.json "
      "--prompts data/tiny-wan/prompts/heldout.txt --require \"psnr>=28\" --out report.json");
  const auto arguments = std::make_shared<ValidateArguments>();
  add_sampling_options(*command, arguments->sampling, arguments->texts,
                       {.size = "the plan's",
                        .steps = "the plan's",
                        .guidance = "the plan's",
                        .guidance_2 = "the plan's",
                        .shift = "the plan's",
                        .scheduler = "the plan's"})
      ->required();
  command->add_option("--heldout", arguments->sampling.prompts, "Another name of --prompts");
  command->add_option("--heldout-embeds", arguments->sampling.text_embeds,
                      "Another name of --text-embeds");
  add_max_memory_option(*command, arguments->sampling);
  command->add_option("--plan", arguments->plan, "The plan to judge (JSON)")->required();
  command->add_option("--require", arguments->require,
                      "What must hold, else exit 6: \"psnr>=28 rel_l2<=0.1 density<=0.3\"");
  command->add_option("--removal", arguments->removal,
                      "layers, steps or layers,steps: also samples with the plan in one of them "
                      "alone, a video each and prompt");
  command->add_option("--videos", arguments->videos,
                      "Write the dense and sparse results of all prompts, too (HDF5)");
  command->add_option("--out", arguments->out.path, "Report to write (JSON)")->required();
  command->add_flag("--force", arguments->out.replace,
                    "Replace existing outputs, and the parts of another run");
  command->add_flag("--resume,!--no-resume", arguments->out.resume,
                    "Go on from the finished prompts of an earlier start (default)");
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
