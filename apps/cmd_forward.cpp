// forward CHECKPOINT --inputs IN --out OUT: one forward pass, the parity check against other
// implementations.
#include <memory>

#include "apps/command.h"
#include "capture/dense_hook.h"
#include "capture/forward_files.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/video_transformer.h"

namespace sparsescope {
namespace {

struct ForwardOptions {
  std::string checkpoint;
  std::string inputs;
  std::string out;
  std::string capture;
  int64_t max_memory = 0;
  bool force = false;
};

void run_forward(CommandContext& context, const ForwardOptions& options) {
  check_writable_output(options.out, options.force);
  context.prefer_full_precision();
  const ModelInputs inputs = read_model_inputs(options.inputs);
  const auto model = load_transformer(open_checkpoint_folder(options.checkpoint),
                                      {.compute = context.compute_dtype(),
                                       .max_memory = options.max_memory,
                                       .threads = context.threads(),
                                       .device = context.device()});
  const std::set<int64_t> layers = parse_layers(options.capture, model->info().layers);
  for (const std::string& warning : model->info().warnings) context.warn(warning);

  ThreadPool pool(context.threads());
  const Impl impl = default_impl(context.device());
  DenseHook hook(impl, pool);
  const ForwardResult result =
      forward_to_file(*model, inputs, layers, hook, options.out, options.force);

  context.print(fmt::format("{}: sample {} and {} captured layers in {:.3f} s ({})", options.out,
                            shape_to_string(result.sample_shape), layers.size(), result.seconds,
                            impl_name(impl)));
  context.print_json({{"out", options.out},
                      {"sample_shape", result.sample_shape},
                      {"captured_layers", layers},
                      {"seconds", result.seconds},
                      {"attention", impl_name(impl)},
                      {"warnings", model->info().warnings}});
}

}  // namespace

void add_forward_command(CLI::App& root, CommandContext& context) {
  CLI::App* command =
      add_command(root, context, "forward", "Runs one forward pass on given inputs",
                  "sparsescope forward data/tiny-wan --inputs in.safetensors --out out.safetensors "
                  "--capture 0,3");
  const auto options = std::make_shared<ForwardOptions>();
  command
      ->add_option("CHECKPOINT", options->checkpoint,
                   "A pipeline folder, a transformer folder or a .safetensors file")
      ->required();
  command
      ->add_option("--inputs", options->inputs,
                   "Safetensors with the model's inputs under their diffusers names")
      ->required();
  command->add_option("--out", options->out, "Safetensors to write: sample and captures")
      ->required();
  command->add_option("--capture", options->capture,
                      "Layers whose q, k, v are written too: 0,3 or all");
  command
      ->add_option("--max-memory", options->max_memory,
                   "Bound for weights in memory (bytes, or 4GB); more are streamed by block")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--force", options->force, "Replace an existing output file");
  command->callback([&context, options] { run_forward(context, *options); });
}

}  // namespace sparsescope
