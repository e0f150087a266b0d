// The part of check_artifact for checkpoints: folders and safetensors files.
#pragma once

#include "report/artifact_check.h"

namespace sparsescope {

// A pipeline folder, a transformer folder, an index or a single file.
ArtifactCheck check_checkpoint(const std::filesystem::path& path, const RunMonitor& monitor);

}  // namespace sparsescope
