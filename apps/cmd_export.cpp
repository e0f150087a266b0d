// export PLAN.json --to FORMAT --out FILE: settings files that other engines load; and back,
// export FILE --from FORMAT --to plan.
#include <memory>

#include "apps/command.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "export/import_plan.h"
#include "export/run_export.h"

namespace sparsescope {
namespace {

struct ExportArguments {
  std::string input, out, profile, to, video, model_path, module, thresholds;
  bool project = false, force = false, list = false;
  // of an import
  std::string from, model, grid, tile = "4,4,4";
  int64_t layers = 0, heads = 0, head_dim = 0, steps = 0;
  std::optional<int64_t> low_noise_from;
  bool honour_first_full = false;
};

void print_list(const CommandContext& context) {
  Json formats = Json::array();
  for (const ExportFormat& format : export_formats()) {
    context.print(fmt::format("{:<22}{}\n{:<22}{}: {}", format.name, format.description, "",
                              format.consumer, format.facts));
    formats.push_back({{"name", format.name},
                       {"description", format.description},
                       {"consumer", format.consumer},
                       {"facts", format.facts}});
  }
  context.print_json({{"formats", std::move(formats)}});
}

void write_export(CommandContext& context, const ExportArguments& arguments) {
  ExportRequest request;
  request.plan = arguments.input;
  request.out = arguments.out;
  request.profile = arguments.profile;
  request.format = arguments.to;
  request.project = arguments.project;
  request.replace = arguments.force;
  request.command_line = context.command_line;
  if (!arguments.video.empty()) request.settings.video = parse_triple(arguments.video, "--video");
  request.settings.model_path = arguments.model_path;
  request.settings.module = arguments.module;
  request.settings.thresholds = arguments.thresholds;

  const ExportResult result = run_export(request);
  Json files = Json::array();
  for (const auto& file : result.files) files.push_back(file.string());
  context.print(
      fmt::format("{}: {} for {}", arguments.out, result.format->name, result.format->consumer));
  context.print("  " + result.format->facts);
  for (const std::string& change : result.changes) context.warn("changed: " + change);
  for (const std::string& remark : result.remarks) context.print("  " + remark);
  context.print_json({{"out", arguments.out},
                      {"format", result.format->name},
                      {"consumer", result.format->consumer},
                      {"facts", result.format->facts},
                      {"files", std::move(files)},
                      {"changes", result.changes},
                      {"remarks", result.remarks}});
}

Plan::Model model_of(const ExportArguments& arguments) {
  if (!arguments.model.empty()) return describe_plan_model(arguments.model);
  return {.family = "captured",  // fits a checkpoint of any family with these extents
          .layers = arguments.layers,
          .heads = arguments.heads,
          .head_dim = arguments.head_dim,
          .checkpoint_hash = "",
          .low_noise_from_step = {}};
}

void write_imported(CommandContext& context, const ExportArguments& arguments) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, arguments.to == "plan",
                    "--from {}: expected --to plan, found '{}'", arguments.from, arguments.to);
  check_writable_output(arguments.out, arguments.force);
  ImportRequest request;
  request.file = arguments.input;
  request.from = arguments.from;
  request.model = model_of(arguments);
  if (!arguments.grid.empty()) {
    const auto grid = parse_triple(arguments.grid, "--grid");
    request.grid = {grid[0], grid[1], grid[2]};
  }
  const auto tile = parse_triple(arguments.tile, "--tile");
  request.tile = {tile[0], tile[1], tile[2]};
  request.steps = arguments.steps;
  request.low_noise_from_step = arguments.low_noise_from;
  request.honour_first_full = arguments.honour_first_full;
  request.command_line = context.command_line;

  const Plan plan = import_plan(request);
  write_plan(arguments.out, plan, arguments.force);
  const Json& remarks = plan.evidence.at("imported").at("remarks");
  context.print(fmt::format("{}: {} of {}, {} rules", arguments.out, to_string(plan.method),
                            arguments.input, plan.rules.size()));
  for (const Json& remark : remarks) context.warn(remark.get<std::string>());
  context.print_json({{"out", arguments.out},
                      {"method", to_string(plan.method)},
                      {"rules", plan.rules.size()},
                      {"remarks", remarks}});
}

void run(CommandContext& context, const ExportArguments& arguments) {
  if (arguments.list) return print_list(context);
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    !arguments.input.empty() && !arguments.to.empty() && !arguments.out.empty(),
                    "export: FILE, --to and --out are required (or --list)");
  if (!arguments.from.empty()) return write_imported(context, arguments);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, arguments.to != "plan",
                    "--to plan: --from names the format of {}", arguments.input);
  write_export(context, arguments);
}

void add_import_options(CLI::App& command, ExportArguments& arguments) {
  command.add_option("--from", arguments.from,
                     "Format of FILE, for --to plan: plan (carried over to --grid and --steps), "
                     "fastvideo-vmoba, sglang-vmoba, svoo or "
                     "svoo-log");
  CLI::Option* const model =
      command.add_option("--model", arguments.model, "Checkpoint that the imported plan is for");
  for (const auto& [name, value] : {std::pair{"--layers", &arguments.layers},
                                    {"--heads", &arguments.heads},
                                    {"--head-dim", &arguments.head_dim}}) {
    command.add_option(name, *value, "Of the imported plan, without --model")
        ->check(CLI::PositiveNumber)
        ->excludes(model);
  }
  command.add_option("--grid", arguments.grid, "Of the imported plan: T,Hg,Wg in tokens");
  command.add_option("--tile", arguments.tile, "Of the imported plan (4,4,4)");
  command.add_option("--steps", arguments.steps, "Denoising steps of the imported plan")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--low-noise-from", arguments.low_noise_from,
                  "The first step of the low-noise one of two experts, in the imported plan")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("--honour-first-full", arguments.honour_first_full,
                   "Imported VMoBA: dense below first_full_step and first_full_layer, which "
                   "FastVideo and SGLang run sparse");
}

}  // namespace

void add_export_command(CLI::App& root, CommandContext& context) {
  CLI::App* command =
      add_command(root, context, "export", "Writes settings files that other engines load",
                  "sparsescope export plan.json --to fastvideo-vsa --out fastvideo.yaml");
  const auto arguments = std::make_shared<ExportArguments>();
  command->add_option("FILE", arguments->input,
                      "A plan (JSON); with --from, a file of that format");
  command->add_option("--to", arguments->to, "Format to write, or plan; --list names them");
  command->add_option("--out", arguments->out, "File to write");
  command->add_flag("--project", arguments->project,
                    "Write the nearest plan that the format holds: merged values become their "
                    "largest");
  command->add_option("--profile", arguments->profile,
                      "The profile behind the plan, for formats that need its statistics");
  command->add_option("--video", arguments->video,
                      "Frames, height, width in pixels, for formats that name them");
  command->add_option("--model-path", arguments->model_path, "The model as the consumer names it");
  command->add_option("--module", arguments->module,
                      "Name of a layer's attention module in the consumer, with {layer} for its "
                      "number");
  command->add_option("--thresholds", arguments->thresholds,
                      "SpargeAttn's tuned thresholds (safetensors), for --to spargeattn");
  command->add_flag("--list", arguments->list, "Lists the formats");
  command->add_flag("--force", arguments->force, "Replace existing files");
  add_import_options(*command, *arguments);
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
