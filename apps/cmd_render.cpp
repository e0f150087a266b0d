// render RUN.h5 --out DIR: figures for papers, each with its numbers and a caption.
#include <fmt/format.h>

#include <memory>

#include "apps/command.h"
#include "apps/python_side.h"
#include "core/error.h"

namespace sparsescope {
namespace {

constexpr int kLeastDpi = 72, kMostDpi = 1200;

struct RenderArguments {
  DrawingOptions drawing;
  std::vector<std::string> figures;
  std::string formats, site, query;
  int columns = 0, dpi = 300;
  double fraction = 0, recall = 0;
  bool list = false;
};

void run(CommandContext& context, const RenderArguments& arguments) {
  if (arguments.list) return run_python_side(context, "render", {"--list"});
  const DrawingOptions& drawing = arguments.drawing;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !drawing.profile.empty() && !drawing.out.empty(),
                    "render: expected a profile and --out, or --list");
  std::vector<std::string> words = drawing_arguments(drawing);
  for (const std::string& figure : arguments.figures) words.push_back("--figure=" + figure);
  if (!arguments.formats.empty()) words.push_back("--formats=" + arguments.formats);
  if (!arguments.site.empty()) words.push_back("--site=" + arguments.site);
  if (!arguments.query.empty()) words.push_back("--query=" + arguments.query);
  if (arguments.columns != 0) words.push_back(fmt::format("--columns={}", arguments.columns));
  if (arguments.fraction != 0) words.push_back(fmt::format("--fraction={}", arguments.fraction));
  if (arguments.recall != 0) words.push_back(fmt::format("--recall={}", arguments.recall));
  words.push_back(fmt::format("--dpi={}", arguments.dpi));
  words.push_back(fmt::format("--jobs={}", context.threads()));
  run_python_side(context, "render", std::move(words));
}

}  // namespace

void add_render_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(root, context, "render",
                                  "Draws figures as SVG, PDF and PNG, each with its data as CSV",
                                  "sparsescope render run.h5 --figure coverage --out figures");
  const auto arguments = std::make_shared<RenderArguments>();
  add_drawing_options(*command, arguments->drawing, false, "Folder to write into");
  command->add_option("--figure", arguments->figures, "Figures to draw (all that the files allow)")
      ->allow_extra_args(false);
  command->add_flag("--list", arguments->list, "Names the figures, with a line each");
  command->add_option("--site", arguments->site,
                      "The site of figures that show one: \"prompt=0 step=4 layer=3 head=1\", or a "
                      "part of it (the sharpest head of the middle step)");
  command->add_option("--query", arguments->query, "The query token of query-view: T,H,W");
  command->add_option("--fraction", arguments->fraction, "Kept fraction that figures judge at")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--recall", arguments->recall, "Recall that figures ask for (0.9)")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--formats", arguments->formats, "A list of svg, pdf, png (all)");
  command
      ->add_option("--columns", arguments->columns,
                   "Width in columns of a paper, 1 (3.5 in) or 2 (7.16 in); each figure's own")
      ->check(CLI::IsMember({1, 2}));
  command->add_option("--dpi", arguments->dpi, "Of PNG, and of maps inside SVG and PDF (300)")
      ->check(CLI::Range(kLeastDpi, kMostDpi));
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
