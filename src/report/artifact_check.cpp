#include "report/artifact_check.h"

#include <array>
#include <fstream>

#include "core/error.h"
#include "core/json_io.h"
#include "core/sha256.h"
#include "plan/kernel_costs.h"
#include "plan/plan.h"
#include "report/checkpoint_check.h"
#include "stats/profile_store.h"
#include "validate/report.h"
#include "validate/videos_file.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

constexpr std::array<unsigned char, 8> kHdf5Signature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

std::string first_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kHdf5Signature.size(), '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  SPARSESCOPE_CHECK(ErrorKind::kData, file.good() || file.eof(), "{}: cannot be read",
                    path.string());
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

bool is_hdf5(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h5" || extension == ".hdf5" ||
         first_bytes(path) == std::string(kHdf5Signature.begin(), kHdf5Signature.end());
}

std::string hash_line(const fs::path& path) { return "sha-256 " + sha256_file(path); }

ArtifactCheck check_profile_file(const fs::path& path) {
  const std::vector<std::string> findings = check_profile(path);
  if (!findings.empty()) {
    std::string text;
    for (const std::string& finding : findings) text += "\n  " + finding;
    fail(ErrorKind::kData, "{}: {} finding{}:{}", path.string(), findings.size(),
         findings.size() == 1 ? "" : "s", text);
  }
  const Profile profile = read_profile(path);
  ArtifactCheck check{
      .kind = "profile",
      .verified = {fmt::format(
                       "{} prompts, {} branches, {} steps, {} layers, {} heads on grid {}, tile {}",
                       profile.prompts, profile.branches, profile.steps, profile.layers,
                       profile.heads, to_string(profile.grid), to_string(profile.tile)),
                   fmt::format("{} statistics and {} maps: names, axes, shapes, ranges, sums",
                               profile.arrays.size(), profile.maps.size())},
      .warnings = {}};
  const KeptData& kept = profile.kept;
  if (!kept.empty()) {
    check.verified.push_back(
        fmt::format("q, k, v of {} calls, {} final latents, {} videos: places, shapes, values",
                    kept.calls.size(), kept.latents.size(), kept.videos.size()));
  }
  check.verified.push_back(hash_line(path));
  return check;
}

ArtifactCheck check_videos_file(const fs::path& path) {
  const VideosCheck videos = check_videos(path);
  return {.kind = "videos file",
          .verified = {fmt::format("{} prompts, dense and sparse {}: names, shapes, values",
                                   videos.prompts,
                                   videos.has_pixels ? "latents and pixels" : "latents"),
                       hash_line(path)},
          .warnings = {}};
}

ArtifactCheck check_plan_file(const fs::path& path) {
  const Plan plan = read_plan(path);
  return {.kind = "plan",
          .verified = {fmt::format("{} for {}: {} steps, {} layers, {} heads on grid {}, tile {}",
                                   to_string(plan.method), plan.model.family, plan.num_steps,
                                   plan.model.layers, plan.model.heads, to_string(plan.grid),
                                   to_string(plan.tile)),
                       fmt::format("{} rules: every key known, every range within the model",
                                   plan.rules.size()),
                       hash_line(path)},
          .warnings = {}};
}

ArtifactCheck check_report_file(const fs::path& path) {
  const ValidationReport report = read_report(path);
  return {.kind = "report",
          .verified = {fmt::format(
                           "{} prompts, {} sites and heads, {} requirements: every key known, "
                           "every value in its range",
                           report.prompts.size(), report.sites.size(), report.requirements.size()),
                       fmt::format("{} clips, the plan in {} layers and {} steps alone",
                                   report.clips.size(), report.removal.layers.size(),
                                   report.removal.steps.size()),
                       hash_line(path)},
          .warnings = {}};
}

ArtifactCheck check_costs_file(const fs::path& path) {
  const KernelCosts costs = read_costs(path);
  size_t points = 0;
  for (const CostSeries& series : costs.series) points += series.points.size();
  return {.kind = "costs file",
          .verified = {fmt::format("{} heads of {} on grid {}, tile {}, {}, {} threads",
                                   costs.heads, costs.head_dim, to_string(costs.grid),
                                   to_string(costs.tile), costs.dtype, costs.threads),
                       fmt::format("{} series of {} points: every key known, every value in its "
                                   "range, each kind once",
                                   costs.series.size(), points),
                       hash_line(path)},
          .warnings = {}};
}

ArtifactCheck check_json_file(const fs::path& path, const RunMonitor& monitor) {
  const Json json = read_json_file(path);
  if (json.is_object() && json.contains("weight_map")) return check_checkpoint(path, monitor);
  const std::string format =
      json.is_object() && json.contains("format") && json["format"].is_string()
          ? json["format"].get<std::string>()
          : "";
  if (format == "sparsescope-plan") return check_plan_file(path);
  if (format == "sparsescope-report") return check_report_file(path);
  if (format == "sparsescope-costs") return check_costs_file(path);
  fail(ErrorKind::kData,
       "{}: /format: expected \"sparsescope-plan\", \"sparsescope-report\" or "
       "\"sparsescope-costs\", found {}",
       path.string(), format.empty() ? "none" : "\"" + format + "\"");
}

}  // namespace

ArtifactCheck check_artifact(const fs::path& path, const RunMonitor& monitor) {
  SPARSESCOPE_CHECK(ErrorKind::kData, fs::exists(path), "{}: there is no such file or folder",
                    path.string());
  if (fs::is_directory(path)) return check_checkpoint(path, monitor);
  if (path.extension() == ".json") return check_json_file(path, monitor);
  if (is_hdf5(path)) {
    return is_videos_file(path) ? check_videos_file(path) : check_profile_file(path);
  }
  return check_checkpoint(path, monitor);
}

}  // namespace sparsescope
