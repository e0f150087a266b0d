// From a plan to the files of another engine: drafted, checked, written atomically, read back.
#pragma once

#include "export/export_format.h"

namespace sparsescope {

struct ExportRequest {
  std::filesystem::path plan, out;
  std::filesystem::path profile;  // empty: none
  std::string format;
  ExportSettings settings;
  bool project = false;  // the nearest plan that the format holds, where it cannot hold this one
  bool replace = false;
  std::string command_line;  // for the record
};

struct ExportResult {
  const ExportFormat* format = nullptr;
  std::vector<std::filesystem::path> files;
  std::vector<std::string> changes, remarks;
};

// A plan of two experts gives two files, FILE.transformer.EXT and FILE.transformer_2.EXT, where the
// format is one of each transformer; thresholds are then looked for in two files of such names.
// Error(kUsage) where the format cannot hold the plan, naming what is lost, or where an output
// exists without replace; Error(kData) where the profile is not the plan's.
ExportResult run_export(const ExportRequest& request);

}  // namespace sparsescope
