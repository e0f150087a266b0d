#include "stats/sampling_request.h"

#include "core/error.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

// What the Wan 2.1 pipeline samples with; its checkpoints name neither.
constexpr int64_t kWanSteps = 50;
constexpr double kWanGuidance = 5.0;

void check_choices(const SamplingRequest& request) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.prompts.empty() != request.text_embeds.empty(),
                    "expected either --prompts or --text-embeds");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.video.empty() || request.grid.empty(),
                    "expected --video or --grid, not both");
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    !request.video.empty() || !request.grid.empty() || !request.latents.empty(),
                    "expected --video FRAMES,HEIGHT,WIDTH or --grid T,H,W");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !request.steps || *request.steps >= 1,
                    "--steps: expected at least 1, found {}", request.steps.value_or(0));
}

// [n, C, F, Hl, Wl] as n latents of one prompt each.
std::vector<HostTensor> read_latents(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const StoredTensor stored = file.fetch("latents");
  SPARSESCOPE_CHECK(ErrorKind::kData, stored.shape.size() == 5 && stored.shape[0] > 0,
                    "{}: latents: expected [n, C, t, h, w], found {}", path.string(),
                    shape_to_string(stored.shape));
  const std::vector<float> values = to_float(stored, path.string() + ": latents");
  std::vector<HostTensor> latents;
  const auto each = std::ssize(values) / stored.shape[0];
  for (int64_t i = 0; i < stored.shape[0]; ++i) {
    HostTensor latent{stored.shape, {values.begin() + i * each, values.begin() + (i + 1) * each}};
    latent.shape[0] = 1;
    latents.push_back(std::move(latent));
  }
  return latents;
}

PromptSet read_prompts(const SamplingRequest& request, const CheckpointFolder& folder) {
  if (!request.prompts.empty()) return encode_prompts(folder, read_prompt_file(request.prompts));
  const bool has_negative =
      SafetensorsFile::open(request.text_embeds).find("negative_prompt_embeds") != nullptr;
  const bool guided = request.guidance ? *request.guidance > 1.0 : has_negative;
  return read_prompt_embeds(request.text_embeds, guided);
}

std::vector<int64_t> latent_shape(const SamplingRequest& request, const LoadedSampling& loaded) {
  const ModelInfo& info = loaded.model->info();
  if (!request.grid.empty()) {
    return latent_shape_from_grid(info, {request.grid[0], request.grid[1], request.grid[2]});
  }
  if (!request.video.empty()) {
    return latent_shape_from_video(loaded.folder, info, request.video[0], request.video[1],
                                   request.video[2]);
  }
  return loaded.latents.front().shape;
}

}  // namespace

LoadedSampling load_sampling(const SamplingRequest& request) {
  check_choices(request);
  LoadedSampling loaded;
  loaded.folder = open_checkpoint_folder(request.checkpoint);
  loaded.prompts = read_prompts(request, loaded.folder);
  if (!request.latents.empty()) {
    loaded.latents = read_latents(request.latents);
    SPARSESCOPE_CHECK(ErrorKind::kData, loaded.latents.size() == loaded.prompts.conditional.size(),
                      "{}: latents: expected one for each of {} prompts, found {}",
                      request.latents.string(), loaded.prompts.conditional.size(),
                      loaded.latents.size());
  }
  loaded.model = load_experts(loaded.folder, request.load);

  SamplingOptions& sampling = loaded.sampling;
  sampling.steps = request.steps.value_or(kWanSteps);
  sampling.guidance =
      request.guidance.value_or(loaded.prompts.unconditional.empty() ? 1.0 : kWanGuidance);
  sampling.guidance_2 = request.guidance_2;
  sampling.scheduler = request.scheduler;
  sampling.shift = request.shift;
  sampling.seed = request.seed;
  sampling.latent_shape = latent_shape(request, loaded);
  for (const HostTensor& latent : loaded.latents) {
    SPARSESCOPE_CHECK(ErrorKind::kData, latent.shape == sampling.latent_shape,
                      "{}: latents: expected {} a prompt, found {}", request.latents.string(),
                      shape_to_string(sampling.latent_shape), shape_to_string(latent.shape));
  }
  return loaded;
}

}  // namespace sparsescope
