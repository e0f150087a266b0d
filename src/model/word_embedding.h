// WordEmbedding, the text encoder of small checkpoints: words split at spaces, "<end>" appended,
// embedding[word] + position[place] for each, zeros up to the fixed length.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/host_tensor.h"

namespace sparsescope {

class WordEmbedding {
 public:
  // Reads config.json, vocabulary.json and model.safetensors of folder. Error(kData).
  static WordEmbedding open(const std::filesystem::path& folder);

  // [1, L, C]; the empty prompt is all zeros. Error(kData) names an unknown word.
  HostTensor encode(const std::string& prompt) const;

 private:
  std::string vocabulary_path_;
  std::map<std::string, int64_t> words_;
  int64_t length_ = 0;            // L
  int64_t dim_ = 0;               // C
  std::vector<float> embedding_;  // [words, C]
  std::vector<float> position_;   // [L, C]
};

}  // namespace sparsescope
