#include "model/word_embedding.h"

#include <sstream>

#include "checkpoint/state_dict.h"
#include "core/error.h"
#include "core/json_io.h"
#include "model/folder_config.h"

namespace sparsescope {

WordEmbedding WordEmbedding::open(const std::filesystem::path& folder) {
  const FolderConfig config(folder, "WordEmbedding");
  const std::filesystem::path vocabulary = folder / "vocabulary.json";
  const Json words = read_json_file(vocabulary);
  WordEmbedding encoder;
  encoder.vocabulary_path_ = vocabulary.string();
  encoder.length_ = config.positive("length");
  encoder.dim_ = config.positive("dim");
  SPARSESCOPE_CHECK(ErrorKind::kData, words.is_array() && !words.empty(),
                    "{}: expected a list of words", vocabulary.string());
  for (const Json& word : words) {
    SPARSESCOPE_CHECK(ErrorKind::kData, word.is_string(), "{}: expected a word, found {}",
                      vocabulary.string(), word.dump());
    const auto index = static_cast<int64_t>(encoder.words_.size());
    const bool inserted = encoder.words_.emplace(word.get<std::string>(), index).second;
    SPARSESCOPE_CHECK(ErrorKind::kData, inserted, "{}: expected distinct words, found {} twice",
                      vocabulary.string(), word.dump());
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, encoder.words_.contains("<end>"),
                    "{}: expected the word <end>, found none", vocabulary.string());
  const auto count = static_cast<int64_t>(encoder.words_.size());
  const StateDict weights = StateDict::open(folder / "model.safetensors");
  encoder.embedding_ = to_float(weights.fetch("embedding", {count, encoder.dim_}), "embedding");
  encoder.position_ =
      to_float(weights.fetch("position", {encoder.length_, encoder.dim_}), "position");
  return encoder;
}

HostTensor WordEmbedding::encode(const std::string& prompt) const {
  HostTensor result = HostTensor::zeros({1, length_, dim_});  // [1, L, C]
  std::vector<std::string> words;
  std::istringstream stream(prompt);
  for (std::string word; stream >> word;) words.push_back(word);
  if (words.empty()) return result;
  words.emplace_back("<end>");
  SPARSESCOPE_CHECK(ErrorKind::kData, static_cast<int64_t>(words.size()) <= length_,
                    "prompt \"{}\": expected at most {} words, found {}", prompt, length_ - 1,
                    words.size() - 1);
  for (size_t place = 0; place < words.size(); ++place) {
    const auto it = words_.find(words[place]);
    SPARSESCOPE_CHECK(ErrorKind::kData, it != words_.end(),
                      "prompt \"{}\": expected words of {}, found \"{}\"", prompt, vocabulary_path_,
                      words[place]);
    const auto dim = static_cast<size_t>(dim_);
    const float* embedding = &embedding_[static_cast<size_t>(it->second) * dim];
    const float* position = &position_[place * dim];
    float* out = &result.values[place * dim];
    for (size_t c = 0; c < dim; ++c) out[c] = embedding[c] + position[c];
  }
  return result;
}

}  // namespace sparsescope
