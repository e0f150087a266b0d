// check FILE: verifies a checkpoint, profile, plan or report.
#include <memory>

#include "apps/command.h"
#include "core/error.h"
#include "report/artifact_check.h"

namespace sparsescope {
namespace {

void run_check(CommandContext& context, const std::string& file) {
  const ArtifactCheck result = check_artifact(file, context.monitor());
  for (const std::string& warning : result.warnings) context.warn(warning);
  context.print(fmt::format("{}: a sound {}", file, result.kind));
  for (const std::string& line : result.verified) context.print("  " + line);
  context.print_json({{"file", file},
                      {"kind", result.kind},
                      {"verified", result.verified},
                      {"warnings", result.warnings}});
}

}  // namespace

void add_check_command(CLI::App& root, CommandContext& context) {
  CLI::App* command =
      add_command(root, context, "check", "Verifies a checkpoint, profile, plan, report or costs file",
                  "sparsescope check data/tiny-wan");
  const auto file = std::make_shared<std::string>();
  command->add_option("FILE", *file, "A checkpoint folder, .safetensors, .h5 or .json file")
      ->required();
  command->callback([&context, file] { run_check(context, *file); });
}

}  // namespace sparsescope
