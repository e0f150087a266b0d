#include "stats/profile_parts.h"

#include <fmt/chrono.h>

#include <chrono>
#include <set>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"
#include "stats/part_file.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "sparsescope-profile-parts";
constexpr int64_t kVersion = 1;
constexpr size_t kMaxShown = 60;  // characters of a setting in a message

std::string shown(const Json& settings, const std::string& name) {
  if (!settings.contains(name)) return "nothing";
  std::string text = settings[name].dump();
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

std::string differences(const Json& before, const Json& now) {
  std::set<std::string> names;
  for (const Json* settings : {&before, &now}) {
    for (const auto& item : settings->items()) names.insert(item.key());
  }
  std::string text;
  for (const std::string& name : names) {
    if (before.value(name, Json()) == now.value(name, Json())) continue;
    text += fmt::format("{}{} was {} and is {}", text.empty() ? "" : "; ", name,
                        shown(before, name), shown(now, name));
  }
  return text;
}

// run.json, or null where it is missing or unreadable: nothing can be trusted then.
Json read_run(const fs::path& path) {
  try {
    const Json run = read_json_file(path);
    const bool ours = run.is_object() && run.value("format", Json()) == kFormat &&
                      run.value("version", Json()) == kVersion && run.contains("run") &&
                      run["run"].is_object() && run.value("started", Json()).is_string();
    return ours ? run : Json();
  } catch (const Error&) {
    return Json();
  }
}

// A start that was stopped before run.json stood leaves at most a temporary file.
bool holds_parts(const fs::path& folder) {
  if (!fs::exists(folder)) return false;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool temporary = entry.path().filename().string().starts_with('.');
    if (!temporary) return true;
  }
  return false;
}

}  // namespace

fs::path parts_folder_of(const fs::path& profile) { return profile.string() + ".parts"; }

std::string run_fingerprint(const Json& run) {
  const std::string text = run.dump();
  return sha256_hex(text.data(), text.size());
}

PartsFolder::PartsFolder(fs::path folder, const Json& run, ExistingParts existing)
    : folder_(std::move(folder)), fingerprint_(run_fingerprint(run)) {
  const fs::path run_file = folder_ / "run.json";
  if (fs::exists(folder_) && existing == ExistingParts::kDiscard) fs::remove_all(folder_);
  if (holds_parts(folder_)) {
    const Json found = read_run(run_file);
    const bool same = !found.is_null() && run_fingerprint(found["run"]) == fingerprint_;
    if (same) {
      started_ = found["started"].get<std::string>();
      return;
    }
    SPARSESCOPE_CHECK(
        ErrorKind::kUsage, existing == ExistingParts::kReplace,
        "{}: holds the finished steps of a different run ({}). Use its settings to go "
        "on, --force to throw it away, or another --out",
        folder_.string(),
        found.is_null() ? "its run.json is missing or damaged" : differences(found["run"], run));
    fs::remove_all(folder_);
  }
  started_ = fmt::format(
      "{:%Y-%m-%dT%H:%M:%SZ}",
      fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  std::error_code error;
  fs::create_directories(folder_, error);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !error, "{}: cannot be made: {}", folder_.string(),
                    error.message());
  const Json head = {
      {"format", kFormat}, {"version", kVersion}, {"started", started_}, {"run", run}};
  write_text_atomically(run_file, head.dump(1), true);
}

std::optional<ProfilePart> PartsFolder::read(int64_t prompt, int64_t step,
                                             const RunMonitor& monitor) const {
  const fs::path path = folder_ / part_file_name(prompt, step);
  if (!fs::exists(path)) return std::nullopt;
  try {
    return read_part_file(path, prompt, step, fingerprint_);
  } catch (const Error& error) {
    report_note(monitor,
                fmt::format("a finished step cannot be used and is done again: {}", error.what()));
    return std::nullopt;
  }
}

void PartsFolder::write(const ProfilePart& part) const {
  write_part_file(folder_ / part_file_name(part.prompt, part.step), part, fingerprint_);
}

void PartsFolder::publish(const Profile& profile, const fs::path& path, bool replace) const {
  const fs::path complete = folder_ / "profile.h5";
  write_profile(complete, profile, true);
  write_atomically(path, replace,
                   [&](const fs::path& temporary) { fs::rename(complete, temporary); });
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace sparsescope
