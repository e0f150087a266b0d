#include "model/prompts.h"

#include <fstream>

#include "core/error.h"
#include "core/sha256.h"
#include "core/tensor_view.h"
#include "model/word_embedding.h"

namespace sparsescope {
namespace {

// Row i of a [n, L, C] tensor as [1, L, C].
HostTensor row_of(const std::vector<float>& values, const std::vector<int64_t>& shape, int64_t i) {
  const int64_t count = shape[1] * shape[2];
  const auto begin = values.begin() + i * count;
  return {{1, shape[1], shape[2]}, {begin, begin + count}};
}

std::vector<HostTensor> read_rows(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor stored = file.fetch(name);
  const std::string what = file.path().string() + ": " + name;
  const auto& s = stored.shape;
  SPARSESCOPE_CHECK(ErrorKind::kData, s.size() == 3 && s[0] > 0 && s[1] > 0 && s[2] > 0,
                    "{}: expected [prompts, rows, width], found {}", what, shape_to_string(s));
  const std::vector<float> values = to_float(stored, what);
  std::vector<HostTensor> rows;
  for (int64_t i = 0; i < s[0]; ++i) rows.push_back(row_of(values, s, i));
  return rows;
}

std::vector<HostTensor> read_negative_rows(const SafetensorsFile& file, size_t prompts) {
  const std::string name = "negative_prompt_embeds";
  SPARSESCOPE_CHECK(ErrorKind::kData, file.find(name) != nullptr,
                    "{}: {}: guidance needs this tensor, found none", file.path().string(), name);
  std::vector<HostTensor> rows = read_rows(file, name);
  SPARSESCOPE_CHECK(ErrorKind::kData, rows.size() == 1 || rows.size() == prompts,
                    "{}: {}: expected 1 or {} prompts, found {}", file.path().string(), name,
                    prompts, rows.size());
  if (rows.size() == 1) rows.resize(prompts, HostTensor(rows.front()));
  return rows;
}

}  // namespace

std::vector<std::string> read_prompt_file(const std::filesystem::path& path) {
  std::ifstream stream(path);
  SPARSESCOPE_CHECK(ErrorKind::kData, stream.good(),
                    "{}: expected a readable text file, found none", path.string());
  std::vector<std::string> prompts;
  for (std::string line; std::getline(stream, line);) {
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == line.npos || line[first] == '#') continue;
    const size_t last = line.find_last_not_of(" \t\r");
    prompts.push_back(line.substr(first, last - first + 1));
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !prompts.empty(), "{}: expected a prompt a line, found none",
                    path.string());
  return prompts;
}

PromptSet encode_prompts(const CheckpointFolder& folder, const std::vector<std::string>& prompts) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, folder.text_encoder.has_value(),
                    "{}: no text encoder that this program can run (class WordEmbedding); give "
                    "embeddings with --text-embeds",
                    folder.root.string());
  const WordEmbedding encoder = WordEmbedding::open(*folder.text_encoder);
  PromptSet set;
  std::string text;
  for (const std::string& prompt : prompts) {
    set.names.push_back(prompt);
    set.conditional.push_back(encoder.encode(prompt));
    set.unconditional.push_back(encoder.encode(""));
    text += prompt + '\n';
  }
  set.source_hash = sha256_hex(text.data(), text.size());
  return set;
}

PromptSet read_prompt_embeds(const std::filesystem::path& path, bool needs_negative) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  PromptSet set;
  set.conditional = read_rows(file, "prompt_embeds");
  for (size_t i = 0; i < set.conditional.size(); ++i) {
    set.names.push_back(fmt::format("embedding {}", i));
  }
  if (needs_negative) set.unconditional = read_negative_rows(file, set.conditional.size());
  set.source_hash = sha256_file(path);
  return set;
}

}  // namespace sparsescope
