// Text conditioning: prompt files, the word-embedding text encoder of small checkpoints, and
// embedding files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/host_tensor.h"
#include "model/video_transformer.h"

namespace sparsescope {

struct PromptSet {
  std::vector<std::string> names;         // the prompts, or "embedding 0", ...
  std::vector<HostTensor> conditional;    // [1, L, C] each
  std::vector<HostTensor> unconditional;  // as many, or empty without guidance
  std::string source_hash;                // of the file that they came from
};

// A prompt a line; blank lines and lines that start with # are skipped. Error(kData) if none is
// left.
std::vector<std::string> read_prompt_file(const std::filesystem::path& path);

// Encodes with the checkpoint's own text encoder (class WordEmbedding). Error(kUnsupported) where
// the folder has none that this program can run (use --text-embeds), Error(kData) for an unknown
// word.
PromptSet encode_prompts(const CheckpointFolder& folder, const std::vector<std::string>& prompts);

// prompt_embeds [n, L, C] and, with guidance, negative_prompt_embeds [1 or n, L, C].
PromptSet read_prompt_embeds(const std::filesystem::path& path, bool needs_negative);

}  // namespace sparsescope
