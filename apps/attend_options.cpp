#include "apps/attend_options.h"

#include <array>

#include "core/error.h"
#include "core/parse_numbers.h"

namespace sparsescope {
namespace {

constexpr int64_t kMostText = int64_t{1} << 20;  // tokens

TokenGrid parse_grid(const std::string& text) {
  const std::vector<int64_t> extents = parse_triple(text, "--grid");
  return {extents[0], extents[1], extents[2]};
}

std::string method_group(const MethodOption& option) {
  return "Options of --method " + std::string(option.methods);
}

}  // namespace

void add_attend_options(CLI::App& command, AttendArguments& arguments) {
  command.add_option("--inputs", arguments.inputs, "Safetensors with q, k, v, maybe gate, d_out")
      ->required();
  command.add_option("--out", arguments.out, "Safetensors to write")->required();
  command.add_option("--grid", arguments.grid, "T,H,W in tokens");
  command.add_option("--method", arguments.method, "dense, vsa, bsa or vmoba");
  command.add_option("--backend", arguments.backend, "reference, cpu, cuda or auto (auto)")
      ->check(CLI::IsMember({"reference", "cpu", "cuda", "auto"}));
  command.add_option("--prefix", arguments.prefix, "Text tokens before the video (0)")
      ->check(CLI::Range(int64_t{0}, kMostText));
  command.add_option("--suffix", arguments.suffix, "Text tokens behind the video (0)")
      ->check(CLI::Range(int64_t{0}, kMostText));
  command.add_flag("--backward", arguments.backward, "Also writes the gradients for d_out");
  command.add_flag(
      "--deterministic", arguments.deterministic,
      "Gradients the same bit for bit in every run, on a GPU too, where they are slower so");
  command.add_option("--save-plan", arguments.save_plan,
                     "Safetensors with what the method selected, to be run again by --plan");
  command.add_option("--plan", arguments.load_plan,
                     "Runs a saved plan instead of selecting; --grid and --method come from it");
  command.add_option("--draw", arguments.draw, "SVG of the selection, a panel a head");
  command.add_flag("--force", arguments.force, "Replace existing output files");
  for (const MethodOption& option : method_options()) {
    const std::string name(option.name), help(option.help);
    OptionTexts& texts = arguments.method_options;
    const auto keep = [&texts, name](const std::string& text) { texts[name] = text; };
    CLI::Option* added = option.flag ? command.add_flag_callback(
                                           name, [keep] { keep(""); }, help)
                                     : command.add_option_function<std::string>(name, keep, help);
    added->group(method_group(option));
  }
}

AttendRequest attend_request(const AttendArguments& arguments) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !arguments.grid.empty() && !arguments.method.empty(),
                    "{}: expected without --plan, found none",
                    arguments.grid.empty() ? "--grid" : "--method");
  const TokenGrid grid = parse_grid(arguments.grid);
  const bool selects = arguments.method != "dense";
  SPARSESCOPE_CHECK(ErrorKind::kUsage, selects || arguments.save_plan.empty(),
                    "--save-plan: expected a method that selects, found --method dense");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, selects || arguments.draw.empty(),
                    "--draw: expected a method that selects, found --method dense");
  return {.grid = grid,
          .prefix = arguments.prefix,
          .suffix = arguments.suffix,
          .method = parse_method_settings(arguments.method, arguments.method_options, grid),
          .backward = arguments.backward,
          .deterministic = arguments.deterministic};
}

void check_plan_arguments(const AttendArguments& arguments, const BlockPlan& plan) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, arguments.method_options.empty(),
                    "{}: a setting of the selection, which --plan replaces",
                    arguments.method_options.begin()->first);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage, arguments.grid.empty() || parse_grid(arguments.grid) == plan.grid,
      "--grid: expected {} as in the plan, found '{}'", to_string(plan.grid), arguments.grid);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage, arguments.method.empty() || arguments.method == to_string(plan.method),
      "--method: expected {} as in the plan, found '{}'", to_string(plan.method), arguments.method);
  const bool text_given = arguments.prefix + arguments.suffix > 0;
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      !text_given || (arguments.prefix == plan.prefix && arguments.suffix == plan.suffix),
      "--prefix, --suffix: expected {}, {} as in the plan, found {}, {}", plan.prefix, plan.suffix,
      arguments.prefix, arguments.suffix);
}

Impl backend_impl(const std::string& backend, const std::string& device) {
  if (backend == "reference") return Impl::kReference;
  const bool names_gpu = device.starts_with("cuda");
  if (backend == "cuda") return default_impl(parse_device(names_gpu ? device : "cuda"));
  return backend == "auto" && names_gpu ? default_impl(parse_device(device)) : default_cpu_impl();
}

}  // namespace sparsescope
