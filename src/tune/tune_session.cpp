#include "tune/tune_session.h"

#include <utility>

#include "core/error.h"
#include "core/sha256.h"
#include "stats/profile_manifest.h"
#include "stats/profile_request.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

constexpr int64_t kAroundProbes = 2;  // around a plan the residual's direction says most

PromptSet chosen_prompts(const PromptSet& set, const std::vector<int64_t>& indices) {
  PromptSet result{.source_hash = set.source_hash};
  for (const int64_t i : indices) {
    result.names.push_back(set.names[i]);
    result.conditional.push_back(set.conditional[i]);
    if (!set.unconditional.empty()) result.unconditional.push_back(set.unconditional[i]);
  }
  return result;
}

LoadedSampling load_for_tuning(const SamplingRequest& sampling) {
  // Trials and the verdict draw their noise: a file of it would serve the profiles alone.
  SPARSESCOPE_CHECK(ErrorKind::kUsage, sampling.latents.empty(),
                    "--latents: tune draws the noise from the seed, found {}",
                    sampling.latents.string());
  return load_sampling(sampling);
}

}  // namespace

TuneSession::TuneSession(const TuneRequest& request, std::string partitions, Json run,
                         const RunMonitor& monitor)
    : request_(request),
      partitions_(std::move(partitions)),
      monitor_(monitor),
      loaded_(load_for_tuning(request.sampling)),
      heldout_apart_(!request.heldout.empty() || !request.heldout_embeds.empty()),
      split_(split_prompts(std::ssize(loaded_.prompts.names), request.derive_prompts,
                           request.check_prompts, heldout_apart_, request.sampling.seed)),
      heldout_(read_heldout()),
      impl_(default_impl(request.sampling.load.device)),
      precision_(dtype_name(request.sampling.load.compute)),
      pool_(request.threads),
      denoiser_(*loaded_.model, loaded_.folder, loaded_.sampling),
      parts_(request.out, "sparsescope-tune-parts", settings(std::move(run))) {
  for (const std::string& warning : loaded_.model->info().warnings) report_note(monitor, warning);
}

PromptSet TuneSession::read_heldout() const {
  if (!heldout_apart_) return chosen_prompts(loaded_.prompts, split_.heldout);
  if (!request_.heldout.empty()) {
    return encode_prompts(loaded_.folder, read_prompt_file(request_.heldout));
  }
  return read_prompt_embeds(request_.heldout_embeds, !loaded_.prompts.unconditional.empty());
}

Json TuneSession::settings(Json run) const {
  Json settings = sampling_settings({.model = loaded_.model->info(),
                                     .folder = loaded_.folder,
                                     .prompts = loaded_.prompts,
                                     .sampling = loaded_.sampling,
                                     .latents = loaded_.latents,
                                     .precision = precision_,
                                     .impl = impl_},
                                    denoiser_);
  settings["heldout_hashes"] = prompt_hashes(heldout_);
  settings["derive_prompts"] = split_.derive;
  settings["check_prompts"] = split_.check;
  settings["per"] = to_string(request_.per);
  settings["tile"] = to_string(request_.tile);
  settings["partitions"] = partitions_;
  settings["sensitivity"] = request_.sensitivity;
  settings["confidence"] = request_.confidence;
  settings.update(run);
  return settings;
}

Profile TuneSession::profile(const std::string& name, const std::string& around) {
  const std::filesystem::path path = parts_.path_of(name);
  if (!std::filesystem::exists(path)) {
    ProfileRequest profiled;
    profiled.sampling = request_.sampling;
    profiled.tile = request_.tile;
    profiled.partitions = partitions_;
    profiled.record_prompts = index_list(split_.derive);
    profiled.sensitivity = request_.sensitivity;
    if (!around.empty()) {
      profiled.around = parts_.path_of(around);
      profiled.effects_only = true;
      profiled.probes = kAroundProbes;
    }
    profiled.out.path = path;
    profiled.command_line = request_.command_line;
    run_profile(profiled, loaded_, pool_, monitor_);
  }
  return read_profile(path);
}

Json TuneSession::source(const std::string& profile) const {
  return {{"profile", {{"file", profile}, {"sha256", sha256_file(parts_.path_of(profile))}}},
          {"command_line", request_.command_line}};
}

}  // namespace sparsescope
