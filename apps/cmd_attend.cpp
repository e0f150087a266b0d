// attend --inputs QKV --grid ... --method ... --out OUT: one attention call by any method, forward
// and backward, and what it selected.
#include <chrono>
#include <memory>
#include <set>

#include "apps/attend_options.h"
#include "apps/command.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "sparse/attend_files.h"
#include "sparse/block_plan_file.h"
#include "sparse/block_plan_picture.h"

namespace sparsescope {
namespace {

AttendResult attend_as_asked(const AttendArguments& arguments, const AttendInputs& inputs,
                             Impl impl, ThreadPool& pool) {
  if (arguments.load_plan.empty()) return attend(inputs, attend_request(arguments), impl, pool);
  BlockPlan plan = read_block_plan(arguments.load_plan);
  check_plan_arguments(arguments, plan);
  return attend_by_plan(inputs, std::move(plan), arguments.backward, impl, pool,
                        arguments.deterministic);
}

void report(const CommandContext& context, const AttendArguments& arguments,
            const AttendResult& result, Impl impl, double seconds) {
  Json outputs = Json::object();
  std::string names;
  for (const NamedArray& output : result.outputs) {
    outputs[output.name] = output.shape;
    names += (names.empty() ? "" : ", ") + output.name;
  }
  context.print(fmt::format("{}: {} in {:.3f} s ({})", arguments.out.string(), names, seconds,
                            impl_name(impl)));
  if (result.plan) context.print(plan_to_text(*result.plan));
  Json json = {{"out", arguments.out.string()},
               {"outputs", outputs},
               {"backend", impl_name(impl)},
               {"seconds", seconds}};
  if (result.plan) json["plan"] = plan_summary_json(*result.plan);
  context.print_json(json);
}

void run(CommandContext& context, const AttendArguments& arguments) {
  std::set<std::filesystem::path> outputs;
  for (const auto& path : {arguments.out, arguments.save_plan, arguments.draw}) {
    if (path.empty()) continue;
    check_writable_output(path, arguments.force);
    SPARSESCOPE_CHECK(ErrorKind::kUsage, outputs.insert(path).second,
                      "--out, --save-plan, --draw: expected different files, found '{}' twice",
                      path.string());
  }
  const Impl impl = backend_impl(arguments.backend, context.common.device);
  if (arguments.load_plan.empty()) attend_request(arguments);  // refuse before a byte is read
  const auto compute =
      context.common.dtype.empty() ? std::nullopt : std::optional(context.compute_dtype());
  const AttendFile file = read_attend_file(arguments.inputs, compute);

  ThreadPool pool(context.threads());
  const auto start = std::chrono::steady_clock::now();
  const AttendResult result = attend_as_asked(arguments, file.inputs, impl, pool);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  if (!arguments.save_plan.empty()) {
    write_block_plan(arguments.save_plan, *result.plan, arguments.force);
  }
  if (!arguments.draw.empty()) {
    write_block_plan_picture(arguments.draw, *result.plan, arguments.force);
  }
  write_attend_outputs(arguments.out, result.outputs, arguments.force);
  report(context, arguments, result, impl, elapsed.count());
}

}  // namespace

void add_attend_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(
      root, context, "attend", "Runs one attention call by any method on given q, k and v",
      "sparsescope attend --inputs qkv.safetensors --grid 8,16,16 --method vsa --sparsity 0.875 "
      "--out out.safetensors --draw selection.svg");
  const auto arguments = std::make_shared<AttendArguments>();
  add_attend_options(*command, *arguments);
  command->callback([&context, arguments] { run(context, *arguments); });
}

}  // namespace sparsescope
