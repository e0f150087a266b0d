// What a long run has finished so far: OUT.parts/ beside its output OUT holds run.json (the
// settings that decide the numbers) and the finished parts, one hashed file each, written
// atomically. A run that stops at any moment goes on from there.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>

#include "core/error.h"
#include "core/json_io.h"
#include "core/progress.h"

namespace sparsescope {

struct OutputOptions {
  std::filesystem::path path;
  bool replace = false;  // an existing output, and the parts of another run
  bool resume = true;
};

// OUT.parts beside OUT.
std::filesystem::path parts_folder_of(const std::filesystem::path& out);
std::string run_fingerprint(const Json& run);

// The answer before any work is done: Error(kUsage) where the output exists and is not to be
// replaced. Parts beside it may be those of a run that had just finished: decided by the run.
void check_output(const OutputOptions& out);

class PartsFolder {
 public:
  // format: of run.json, one for each kind of output. run: every setting that decides a number, by
  // name. Makes the folder where there is none; one of another run is Error(kUsage), or thrown away
  // with out.replace. Without out.resume the run begins anew.
  PartsFolder(const OutputOptions& out, const std::string& format, const Json& run);

  // What read_file(path) gives for a part, or nothing where the part is missing. A damaged one
  // counts as missing, with a note.
  template <typename ReadFile>
  auto read(const std::string& name, const RunMonitor& monitor, const ReadFile& read_file) const
      -> std::optional<std::invoke_result_t<ReadFile, const std::filesystem::path&>> {
    const std::filesystem::path part = path_of(name);
    if (!std::filesystem::exists(part)) return std::nullopt;
    try {
      return read_file(part);
    } catch (const Error& error) {
      report_note(monitor,
                  "a finished part cannot be used and is done again: " + std::string(error.what()));
      return std::nullopt;
    }
  }
  std::filesystem::path path_of(const std::string& name) const { return folder_ / name; }

  // Calls write for a file inside the folder, moves that file to the output's place whole, and
  // removes the folder: a stop at any moment leaves either the parts or the output.
  void publish(const std::function<void(const std::filesystem::path&)>& write) const;
  void remove() const;

  const std::string& fingerprint() const { return fingerprint_; }  // SHA-256 of run
  const std::string& started() const { return started_; }          // UTC, of the first start

 private:
  void start(const std::string& format, const Json& run);

  OutputOptions out_;
  std::filesystem::path folder_;
  std::string fingerprint_;
  std::string started_;
};

}  // namespace sparsescope
