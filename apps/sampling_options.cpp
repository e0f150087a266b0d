#include "apps/sampling_options.h"

#include <fmt/format.h>

namespace sparsescope {
namespace {

std::string with_default(const std::string& text, const std::string& value) {
  return value.empty() ? text : fmt::format("{} ({})", text, value);
}

}  // namespace

SamplingDefaults checkpoint_defaults() {
  return {.size = "",
          .steps = "the model's own: 50",
          .guidance = "5",
          .guidance_2 = "that of --guidance",
          .shift = "the checkpoint's own",
          .scheduler = "the checkpoint's own"};
}

CLI::Option* add_sampling_options(CLI::App& command, SamplingRequest& request, SamplingTexts& texts,
                                  const SamplingDefaults& defaults) {
  CLI::Option* checkpoint = command.add_option("CHECKPOINT", request.checkpoint,
                                               "A checkpoint folder or .safetensors file");
  command.add_option("--prompts", request.prompts, "Text file, a prompt a line");
  command.add_option("--text-embeds", request.text_embeds,
                     "Safetensors with prompt_embeds and negative_prompt_embeds");
  command.add_option("--video", texts.video,
                     with_default("FRAMES,HEIGHT,WIDTH in pixels", defaults.size));
  command.add_option("--grid", texts.grid, with_default("T,H,W in tokens", defaults.size));
  command.add_option("--steps", request.steps, with_default("Denoising steps", defaults.steps));
  command.add_option("--guidance", request.guidance,
                     with_default("Classifier-free guidance; 1 runs the conditional branch alone",
                                  defaults.guidance));
  command.add_option(
      "--guidance-2", request.guidance_2,
      with_default("The same for the low-noise one of two experts", defaults.guidance_2));
  command.add_option("--shift", request.shift,
                     with_default("Shift of the noise grid", defaults.shift));
  command.add_option("--scheduler", request.scheduler,
                     with_default("flow-euler or unipc", defaults.scheduler));
  command.add_option("--latents", request.latents, "Safetensors with the initial noise, latents");
  return checkpoint;
}

void add_max_memory_option(CLI::App& command, SamplingRequest& request) {
  command
      .add_option("--max-memory", request.load.max_memory,
                  "Bound for weights in memory (bytes, or 4GB); more are streamed by block")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::NonNegativeNumber);
}

void complete_sampling_request(const CommandContext& context, const SamplingTexts& texts,
                               SamplingRequest& request) {
  if (!texts.video.empty()) request.video = parse_triple(texts.video, "--video");
  if (!texts.grid.empty()) request.grid = parse_triple(texts.grid, "--grid");
  request.seed = context.common.seed;
  request.load.threads = context.threads();
  request.load.device = context.device();
  request.load.compute = context.compute_dtype();
}

}  // namespace sparsescope
