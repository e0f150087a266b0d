#include "stats/merge_manifest.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "stats/profile_manifest.h"

namespace sparsescope {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Of one run, and of no use to another even where two agree.
bool belongs_to_one_run(const std::string& key) {
  static const std::set<std::string> keys = {"file",    "sha256",        "fingerprint",
                                             "started", "seconds",       "command_line",
                                             "sources", "approximations"};
  return keys.contains(key);
}

std::string shown(const Json& manifest, const std::string& key) {
  return manifest.contains(key) ? brief(manifest[key]) : "none";
}

std::string text_of(const Json& source, const char* key) {
  const auto found = source.find(key);
  return found != source.end() && found->is_string() ? found->get<std::string>() : "";
}

Json source_of(const Json& manifest, const std::string& file, const std::string& sha256) {
  Json source = {{"file", path_tail(file)}, {"sha256", sha256}};
  for (const auto& [key, value] : manifest.items()) {
    if (!contains(joint_settings(), key) && !contains(trajectory_keys(), key)) source[key] = value;
  }
  return source;
}

// In the order of the text: that of the files must not show.
Json all_approximations(const std::vector<Json>& sources) {
  std::set<std::string> texts;
  for (const Json& source : sources) {
    const Json list = source.value("approximations", Json::array());
    for (const Json& text : list) {
      if (text.is_string()) texts.insert(text.get<std::string>());
    }
  }
  return texts;
}

double all_seconds(const std::vector<Json>& sources) {
  double seconds = 0;
  for (const Json& source : sources) {
    const Json value = source.value("seconds", Json(0));
    if (value.is_number()) seconds += value.get<double>();
  }
  return seconds;
}

std::string one_merge(const std::vector<Json>& sources) {
  std::string text = "sparsescope merge";
  for (const Json& source : sources) text += fmt::format(" {}", text_of(source, "file"));
  return text;
}

}  // namespace

const std::vector<std::string>& joint_settings() {
  static const std::vector<std::string> settings = {
      "checkpoint_hash", "family",   "class",     "config",
      "head_dim",        "grid",     "tile",      "partitions",
      "rows_per_tile",   "prefix",   "suffix",    "latent_shape",
      "scheduler",       "shift",    "timesteps", "sigmas",
      "steps",           "guidance", "precision", "statistics",
      "guidance_2",      "experts"};
  return settings;
}

void ManifestJoin::check_joint(const Json& manifest, const std::string& file) const {
  for (const std::string& key : joint_settings()) {
    SPARSESCOPE_CHECK(ErrorKind::kData, manifest.value(key, Json()) == joint_.value(key, Json()),
                      "{}: manifest: /{}: expected {} as in {}, found {}", file, key,
                      shown(joint_, key), first_file_, shown(manifest, key));
  }
}

// Effects on the model's output are those beside one plan in force; sources that measured none do
// not care.
void ManifestJoin::check_effects(const Json& source, const std::string& file) const {
  const auto measured = [](const Json& entry) {
    const Json calls = entry.value("sensitivity", Json(0));
    return calls.is_number() && calls > 0;
  };
  if (!measured(source)) return;
  const auto other = std::find_if(sources_.begin(), sources_.end(), measured);
  if (other == sources_.end()) return;
  SPARSESCOPE_CHECK(ErrorKind::kData, text_of(source, "around") == text_of(*other, "around"),
                    "{}: manifest: /around: expected {} as in {}, found {}", file,
                    shown(*other, "around"), text_of(*other, "file"), shown(source, "around"));
}

void ManifestJoin::add_source(const Json& source, const std::string& file) {
  check_effects(source, file);
  const auto hash_of = [](const Json& entry) { return text_of(entry, "sha256"); };
  const auto place =
      std::lower_bound(sources_.begin(), sources_.end(), source,
                       [&](const Json& a, const Json& b) { return hash_of(a) < hash_of(b); });
  if (place == sources_.end() || hash_of(*place) != hash_of(source)) sources_.insert(place, source);
}

void ManifestJoin::add(const Json& manifest, const std::string& file, const std::string& sha256) {
  if (sources_.empty()) {
    first_file_ = file;
    joint_ = Json::object();
    for (const std::string& key : joint_settings()) {
      if (manifest.contains(key)) joint_[key] = manifest[key];
    }
  }
  check_joint(manifest, file);
  const auto sources = manifest.find("sources");  // of a profile that was joined before
  if (sources == manifest.end()) return add_source(source_of(manifest, file, sha256), file);
  SPARSESCOPE_CHECK(ErrorKind::kData, sources->is_array() && !sources->empty(),
                    "{}: manifest: /sources: expected a list of profiles", file);
  for (const Json& source : *sources) {
    SPARSESCOPE_CHECK(ErrorKind::kData, source.is_object() && !text_of(source, "sha256").empty(),
                      "{}: manifest: /sources: expected an object with sha256, found {}", file,
                      brief(source));
    add_source(source, file);
  }
}

Json ManifestJoin::take(const std::vector<Trajectory>& trajectories) const {
  Json manifest = joint_;
  manifest.update(trajectories_to_json(trajectories));
  for (const auto& [key, value] : sources_.front().items()) {
    if (belongs_to_one_run(key)) continue;
    const bool agreed = std::all_of(sources_.begin(), sources_.end(), [&](const Json& source) {
      return source.contains(key) && source[key] == value;
    });
    if (agreed) manifest[key] = value;
  }
  manifest["approximations"] = all_approximations(sources_);
  manifest["seconds"] = all_seconds(sources_);
  manifest["command_line"] = one_merge(sources_);
  manifest["sources"] = sources_;
  return manifest;
}

}  // namespace sparsescope
