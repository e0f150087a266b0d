// What a format of another engine is to this program: a name, the facts it relies on, and a
// function that drafts the files of a plan. A draft is complete, checked against the consumer's
// constraints and rounding, before the first byte is written (run_export.h).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"
#include "stats/profile.h"

namespace sparsescope {

// What a consumer needs and no plan holds.
struct ExportSettings {
  std::vector<int64_t> video;        // frames, height, width in pixels; empty: not given
  std::string model_path;            // as the consumer names the model; empty: not given
  std::string module;                // of a layer's attention, with {layer}; empty: the family's
  std::filesystem::path thresholds;  // SpargeAttn's, measured by its own tuner; empty: none
};

struct ExportInput {
  const Plan& plan;
  const Profile* profile = nullptr;  // the one behind the plan, or none
  const ExportSettings& settings;
  std::filesystem::path out;
  Json provenance;  // of the plan and the consumer; see provenance.h
};

struct DraftFile {
  std::filesystem::path path;  // where the file will stand
  std::function<void(const std::filesystem::path&)> write;
  // Reads a written file by the consumer's rules; Error(kInternal) where it says another thing than
  // the plan.
  std::function<void(const std::filesystem::path&)> verify;
};

struct ExportDraft {
  std::vector<DraftFile> files;      // the one asked for first
  std::vector<std::string> changes;  // what the format cannot hold, and what stands there instead
  std::vector<std::string> remarks;  // what the consumer makes of the file
  bool provenance_inside = false;    // the consumer ignores unknown keys, so the file holds it
};

struct ExportFormat {
  std::string name;
  std::string description;  // one line
  std::string consumer;
  std::string facts;  // which version of the consumer the writer follows, and how that is known
  ExportDraft (*draft)(const ExportInput& input);
  // The consumer configures each transformer by itself: of two experts each gets its own file.
  bool per_transformer = false;
};

// In the order of the documentation.
const std::vector<ExportFormat>& export_formats();
// Error(kUsage) lists the names.
const ExportFormat& find_export_format(std::string_view name);

// One per format. All throw Error(kUsage) for a plan that no projection brings into the format,
// naming what is lost, and Error(kUnsupported) for what this program cannot know.
ExportDraft draft_fastvideo_vmoba(const ExportInput& input);
ExportDraft draft_fastvideo_vsa(const ExportInput& input);
ExportDraft draft_fastvideo_vsa_h3(const ExportInput& input);
ExportDraft draft_sglang_vsa(const ExportInput& input);
ExportDraft draft_sglang_cube(const ExportInput& input);
ExportDraft draft_trtllm(const ExportInput& input);
ExportDraft draft_modelopt_vsa(const ExportInput& input);
ExportDraft draft_modelopt_skip_softmax(const ExportInput& input);
ExportDraft draft_lightx2v(const ExportInput& input);
ExportDraft draft_sta(const ExportInput& input);
ExportDraft draft_svoo(const ExportInput& input);
ExportDraft draft_spargeattn(const ExportInput& input);
ExportDraft draft_block_lists(const ExportInput& input);

}  // namespace sparsescope
