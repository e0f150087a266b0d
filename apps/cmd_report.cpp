// report RUN.h5 --out FILE.html: one self-contained page to explore.
#include <memory>

#include "apps/command.h"
#include "apps/python_side.h"

namespace sparsescope {

void add_report_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(
      root, context, "report", "Writes one self-contained page to explore a profile",
      "sparsescope report run.h5 --plan plan.json --validation report.json --out report.html");
  const auto drawing = std::make_shared<DrawingOptions>();
  add_drawing_options(*command, *drawing, true, "Page to write (HTML)");
  command->get_option("--out")->required();
  command->callback(
      [&context, drawing] { run_python_side(context, "report", drawing_arguments(*drawing)); });
}

}  // namespace sparsescope
