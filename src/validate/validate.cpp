#include "validate/validate.h"

#include <fstream>
#include <memory>
#include <sstream>

#include "core/atomic_file.h"
#include "core/error.h"
#include "stats/kept_part.h"
#include "stats/profile_manifest.h"
#include "validate/prompt_part.h"
#include "validate/prompt_validation.h"
#include "validate/summary.h"
#include "validate/videos_file.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

// Plans of captured q, k, v name no family.
constexpr std::string_view kCapturedFamily = "captured";

void check_model(const Plan::Model& plan, const ModelInfo& info, const RunMonitor& monitor) {
  const auto check = [](const char* what, int64_t expected, int64_t found) {
    SPARSESCOPE_CHECK(ErrorKind::kData, expected == found,
                      "plan: /model/{}: expected the checkpoint's {}, found {}", what, found,
                      expected);
  };
  SPARSESCOPE_CHECK(ErrorKind::kData, plan.family == info.family || plan.family == kCapturedFamily,
                    "plan: /model/family: expected the checkpoint's {}, found {}", info.family,
                    plan.family);
  check("layers", plan.layers, info.layers);
  check("heads", plan.heads, info.heads);
  check("head_dim", plan.head_dim, info.head_dim);
  if (plan.checkpoint_hash != info.checkpoint_hash) {
    report_note(monitor,
                "the plan was made from another checkpoint of this shape (its hash differs)");
  }
}

// Settings of one expert must not fall to the other: an imported plan does not say where they meet.
void check_experts(const Plan& plan, const Denoiser& denoiser) {
  const std::optional<int64_t>& expected = plan.model.low_noise_from_step;
  if (!expected) return;
  const int64_t found = first_low_noise_step(denoiser.experts());
  SPARSESCOPE_CHECK(ErrorKind::kUsage, found == *expected,
                    "--shift, --scheduler: expected the low-noise expert to run from the plan's "
                    "step {} on, found {}",
                    *expected, found);
}

void check_options(const ValidationRequest& request, const Denoiser& denoiser) {
  const Plan& plan = request.plan;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, denoiser.token_grid() == plan.grid,
                    "--grid, --video: expected the plan's grid {}, found {}", to_string(plan.grid),
                    to_string(denoiser.token_grid()));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, request.sampling.steps == plan.num_steps,
                    "--steps: expected the plan's {}, found {}", plan.num_steps,
                    request.sampling.steps);
  check_experts(plan, denoiser);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !request.prompts.names.empty(),
                    "validate: expected at least one prompt");
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      request.latents.empty() || request.latents.size() == request.prompts.names.size(),
      "--latents: expected one for each of {} prompts, found {}", request.prompts.names.size(),
      request.latents.size());
  for (const Requirement& requirement : request.requirements) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage,
                      request.folder.codec || !requirement.name.ends_with("_pixel"),
                      "--require {}: this checkpoint has no codec, so that there are no pixels",
                      requirement.name);
  }
  for (const HostTensor& latents : request.latents) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, latents.shape == request.sampling.latent_shape,
                      "--latents: expected {}, found {}",
                      shape_to_string(request.sampling.latent_shape),
                      shape_to_string(latents.shape));
  }
}

SamplingRecord sampling_record(const SamplingOptions& sampling, const Denoiser& denoiser) {
  return {.steps = sampling.steps,
          .guidance = denoiser.guidance_of(kHighNoise),
          .scheduler = denoiser.scheduler().name(),
          .shift = denoiser.scheduler().shift(),
          .seed = sampling.seed,
          .grid = denoiser.token_grid(),
          .guidance_2 = denoiser.boundary() && denoiser.guided()
                            ? std::optional(denoiser.guidance_of(kLowNoise))
                            : std::nullopt};
}

// Everything that decides what is measured, by name.
Json run_settings(const ValidationRequest& request, const Denoiser& denoiser) {
  Json settings = {{"plan", request.plan_hash}};
  settings.update(sampling_settings({.model = request.model.info(),
                                     .folder = request.folder,
                                     .prompts = request.prompts,
                                     .sampling = request.sampling,
                                     .latents = request.latents,
                                     .precision = request.precision,
                                     .impl = request.impl},
                                    denoiser));
  if (!request.videos.empty()) settings["videos"] = true;
  const std::string removal = to_string(request.removal);
  if (!removal.empty()) settings["removal"] = removal;
  return settings;
}

// A report may stand already only where all parts stand beside it: see publish.
void check_place(const ValidationRequest& request) {
  const fs::path folder = parts_folder_of(request.out.path);
  bool finished = request.out.resume;
  for (int64_t prompt = 0; prompt < std::ssize(request.prompts.names); ++prompt) {
    finished = finished && fs::exists(folder / prompt_part_name(prompt));
  }
  if (!finished) check_writable_output(request.out.path, request.out.replace);
}

// Killed between writing the videos and the report: they are this run's own.
void check_videos_place(const ValidationRequest& request, const std::string& fingerprint) {
  if (request.videos.empty() || holds_videos_of(request.videos, fingerprint)) return;
  check_writable_output(request.videos, request.out.replace);
}

PromptOutcome finish_prompt(int64_t prompt, PromptValidation& validation, const PartsFolder& parts,
                            const RunMonitor& monitor) {
  const std::string name = prompt_part_name(prompt);
  std::optional<PromptOutcome> outcome = parts.read(name, monitor, [&](const fs::path& path) {
    return read_prompt_part(path, prompt, parts.fingerprint());
  });
  if (outcome) {
    validation.skip(prompt);
    return std::move(*outcome);
  }
  outcome = validation.run(prompt);
  write_prompt_part(parts.path_of(name), prompt, *outcome, parts.fingerprint());
  outcome->dense_latents = outcome->sparse_latents = {};  // they stay in the part
  return std::move(*outcome);
}

ValidationReport make_report(const ValidationRequest& request, const Denoiser& denoiser,
                             const std::vector<PromptOutcome>& outcomes) {
  ValidationReport report;
  report.plan_hash = request.plan_hash;
  report.checkpoint_hash = request.model.info().checkpoint_hash;
  report.prompts = request.prompts.names;
  report.sampling = sampling_record(request.sampling, denoiser);
  for (const PromptOutcome& outcome : outcomes) {
    report.sites.insert(report.sites.end(), outcome.sites.begin(), outcome.sites.end());
  }
  report.clips = clips_of(outcomes);
  report.summary = summarize(outcomes, report.clips, kReportConfidence);
  report.removal = removal_of(outcomes, kReportConfidence);
  report.requirements = judge(request.requirements, report.summary);
  return report;
}

// From the finished parts, one array at a time.
void publish_videos(const ValidationRequest& request, const PartsFolder& parts) {
  if (request.videos.empty()) return;
  SampledVideos videos{.plan = request.plan_hash,
                       .fingerprint = parts.fingerprint(),
                       .prompts = request.prompts.names,
                       .dense = {},
                       .sparse = {},
                       .codec = nullptr};
  const std::vector<int64_t>& latents = request.sampling.latent_shape;  // [1, C, F, Hl, Wl]
  const std::vector<int64_t> shape(latents.begin() + 1, latents.end());
  for (int64_t prompt = 0; prompt < std::ssize(videos.prompts); ++prompt) {
    const fs::path part = parts.path_of(prompt_part_name(prompt));
    videos.dense.push_back(array_in_file(part, kDenseLatents, shape));
    videos.sparse.push_back(array_in_file(part, kSparseLatents, shape));
  }
  if (request.folder.codec) {
    videos.codec = std::make_shared<const LinearCodec>(LinearCodec::open(*request.folder.codec));
  }
  write_videos(request.videos, videos, true);
}

bool holds_text(const fs::path& path, const std::string& text) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream found;
  found << file.rdbuf();
  return file.good() && found.str() == text;
}

void publish(const ValidationReport& report, const OutputOptions& out, const PartsFolder& parts) {
  // Killed between publishing the report and removing the parts: they give the same report again.
  if (!out.replace && holds_text(out.path, report_text(report))) {
    parts.remove();
    return;
  }
  parts.publish([&](const fs::path& path) { write_report(path, report, true); });
}

}  // namespace

void check_validation_outputs(const OutputOptions& out, const fs::path& videos) {
  check_output(out);
  if (videos.empty()) return;
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    fs::weakly_canonical(videos) != fs::weakly_canonical(out.path),
                    "--videos: expected another file than --out, found {}", videos.string());
  if (!fs::exists(parts_folder_of(out.path))) check_writable_output(videos, out.replace);
}

ValidationReport run_validation(const ValidationRequest& request, const RunMonitor& monitor) {
  check_model(request.plan.model, request.model.info(), monitor);
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    !request.plan.model.low_noise_from_step || expert_boundary(request.folder),
                    "plan: /model/low_noise_from_step: expected a checkpoint of two experts, found "
                    "one transformer");
  const Denoiser denoiser(request.model, request.folder, request.sampling);
  check_options(request, denoiser);
  check_place(request);
  const Json settings = run_settings(request, denoiser);
  check_videos_place(request, run_fingerprint(settings));
  const PartsFolder parts(request.out, "sparsescope-report-parts", settings);
  PromptValidation validation(request, denoiser, monitor);
  std::vector<PromptOutcome> outcomes;
  for (int64_t prompt = 0; prompt < std::ssize(request.prompts.names); ++prompt) {
    outcomes.push_back(finish_prompt(prompt, validation, parts, monitor));
  }
  ValidationReport report = make_report(request, denoiser, outcomes);
  publish_videos(request, parts);
  publish(report, request.out, parts);
  return report;
}

}  // namespace sparsescope
