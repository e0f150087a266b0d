// notebook RUN.h5 --out FILE.ipynb: a notebook that redraws every figure from the profile.
#include <memory>

#include "apps/command.h"
#include "apps/python_side.h"

namespace sparsescope {
namespace {

struct NotebookArguments {
  DrawingOptions drawing;
  std::string template_name;
  bool no_run = false, list = false;
};

}  // namespace

void add_notebook_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(root, context, "notebook",
                                  "Writes a notebook that redraws figures from a profile",
                                  "sparsescope notebook run.h5 --plan plan.json --out run.ipynb");
  const auto arguments = std::make_shared<NotebookArguments>();
  add_drawing_options(*command, arguments->drawing, false, "Notebook to write (.ipynb)");
  command->add_option("--template", arguments->template_name,
                      "Which notebook (figures); see --list");
  command->add_flag("--no-run", arguments->no_run, "Leaves the cells unexecuted");
  command->add_flag("--list", arguments->list, "Names the templates, with a line each");
  command->callback([&context, arguments] {
    std::vector<std::string> words = drawing_arguments(arguments->drawing);
    if (!arguments->template_name.empty())
      words.push_back("--template=" + arguments->template_name);
    if (arguments->no_run) words.emplace_back("--no-run");
    if (arguments->list) words.emplace_back("--list");
    run_python_side(context, "notebook", std::move(words));
  });
}

}  // namespace sparsescope
