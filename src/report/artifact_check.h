// Verifies any file of ours, or a checkpoint: what `check` does.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/progress.h"

namespace sparsescope {

struct ArtifactCheck {
  std::string kind;                   // "checkpoint", "tensors", "profile", "plan", "report" or "costs file"
  std::vector<std::string> verified;  // one sentence each
  std::vector<std::string> warnings;  // oddities that break nothing
};

// Recognises the artefact by its content and verifies structure, hashes and ranges. What is broken
// is Error(kData) with file, place, expected and found; Error(kUnsupported) for a family or version
// that this program does not know.
ArtifactCheck check_artifact(const std::filesystem::path& path, const RunMonitor& monitor);

}  // namespace sparsescope
