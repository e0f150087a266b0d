#include "stats/parts_folder.h"

#include <fmt/chrono.h>

#include <chrono>
#include <set>

#include "core/atomic_file.h"
#include "core/sha256.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRunFile = "run.json";
constexpr int64_t kVersion = 1;

std::string shown(const Json& settings, const std::string& name) {
  return settings.contains(name) ? brief(settings[name]) : "nothing";
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
Json read_run(const fs::path& path, const std::string& format) {
  try {
    const Json run = read_json_file(path);
    const bool ours = run.is_object() && run.value("format", Json()) == format &&
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

fs::path parts_folder_of(const fs::path& out) { return out.string() + ".parts"; }

std::string run_fingerprint(const Json& run) {
  const std::string text = run.dump();
  return sha256_hex(text.data(), text.size());
}

void check_output(const OutputOptions& out) {
  if (!fs::exists(parts_folder_of(out.path))) check_writable_output(out.path, out.replace);
}

PartsFolder::PartsFolder(const OutputOptions& out, const std::string& format, const Json& run)
    : out_(out), folder_(parts_folder_of(out.path)), fingerprint_(run_fingerprint(run)) {
  if (fs::exists(folder_) && !out.resume) fs::remove_all(folder_);
  if (holds_parts(folder_)) {
    const Json found = read_run(folder_ / kRunFile, format);
    const bool same = !found.is_null() && run_fingerprint(found["run"]) == fingerprint_;
    if (same) {
      started_ = found["started"].get<std::string>();
      return;
    }
    SPARSESCOPE_CHECK(
        ErrorKind::kUsage, out.replace,
        "{}: holds the finished parts of a different run ({}). Use its settings to go "
        "on, --force to throw it away, or another --out",
        folder_.string(),
        found.is_null() ? "its run.json is missing or damaged" : differences(found["run"], run));
    fs::remove_all(folder_);
  }
  start(format, run);
}

void PartsFolder::start(const std::string& format, const Json& run) {
  started_ = fmt::format(
      "{:%Y-%m-%dT%H:%M:%SZ}",
      fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  std::error_code error;
  fs::create_directories(folder_, error);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !error, "{}: cannot be made: {}", folder_.string(),
                    error.message());
  const Json head = {
      {"format", format}, {"version", kVersion}, {"started", started_}, {"run", run}};
  write_text_atomically(folder_ / kRunFile, head.dump(1), true);
}

void PartsFolder::publish(const std::function<void(const fs::path&)>& write) const {
  const fs::path complete = folder_ / "complete";
  write(complete);
  write_atomically(out_.path, out_.replace,
                   [&](const fs::path& temporary) { fs::rename(complete, temporary); });
  remove();
}

void PartsFolder::remove() const {
  std::error_code ignored;  // the output stands; what is left of the folder does no harm
  fs::remove_all(folder_, ignored);
}

}  // namespace sparsescope
