#include "checkpoint/weight_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "checkpoint/printable.h"
#include "core/error.h"

namespace sparsescope {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".safetensors";
constexpr std::string_view kDiffusersStem = "diffusion_pytorch_model";
constexpr std::string_view kIndexMark = ".safetensors.index.";  // ...index.json, ...index.fp16.json
constexpr size_t kListed = 20;

// Sorted names of the entries of a folder.
std::vector<std::string> names_in(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !error, "{}: cannot be listed: {}", folder.string(),
                    error.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::string joined(std::vector<std::string> names) {
  if (names.empty()) return "nothing";
  const size_t hidden = names.size() > kListed ? names.size() - kListed : 0;
  names.resize(names.size() - hidden);
  for (std::string& name : names) name = printable(name);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     hidden > 0 ? fmt::format(" and {} more", hidden) : "");
}

template <typename Matches>
std::vector<std::string> only(const std::vector<std::string>& names, Matches matches) {
  std::vector<std::string> kept;
  std::copy_if(names.begin(), names.end(), std::back_inserter(kept), matches);
  return kept;
}

bool is_index(const std::string& name) {
  return name.find(kIndexMark) != std::string::npos && name.ends_with(".json");
}

std::optional<std::string> find_index(const std::vector<std::string>& names,
                                      const fs::path& folder) {
  const auto indices = only(names, is_index);
  for (const char* preferred :
       {"diffusion_pytorch_model.safetensors.index.json", "model.safetensors.index.json"}) {
    if (std::find(indices.begin(), indices.end(), preferred) != indices.end()) return preferred;
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, indices.size() <= 1,
                    "{}: expected one shard index, found {}; name the one to load", folder.string(),
                    joined(indices));
  if (indices.empty()) return std::nullopt;
  return indices.front();
}

bool is_pickle(const fs::path& path) {
  constexpr std::array<std::string_view, 4> kPickles{".pt", ".pth", ".ckpt", ".bin"};
  return std::find(kPickles.begin(), kPickles.end(), path.extension().string()) != kPickles.end();
}

// Nothing readable: say whether that is for the format or for want of weights.
[[noreturn]] void fail_without_weights(const std::vector<std::string>& names,
                                       const fs::path& folder) {
  for (const std::string& name : names) check_weight_format(folder / name);
  fail(ErrorKind::kData, "{}: expected *.safetensors files or an index of them, found {}",
       folder.string(), joined(names));
}

}  // namespace

WeightFiles find_weight_files(const fs::path& folder) {
  const auto names = names_in(folder);
  if (const auto index = find_index(names, folder)) return {.index = folder / *index};

  const auto readable =
      only(names, [](const std::string& name) { return name.ends_with(kSuffix); });
  if (readable.empty()) fail_without_weights(names, folder);
  const std::string single = std::string(kDiffusersStem) + std::string(kSuffix);
  if (std::find(readable.begin(), readable.end(), single) != readable.end()) {
    return {.files = {folder / single}};
  }
  if (readable.size() == 1) return {.files = {folder / readable.front()}};

  WeightFiles result;
  for (const std::string& name : readable) {
    if (name.starts_with(kDiffusersStem)) {
      result.files.push_back(folder / name);
    } else {
      result.warnings.push_back(fmt::format("{}: {} is no shard of the model: ignored",
                                            folder.string(), printable(name)));
    }
  }
  SPARSESCOPE_CHECK(
      ErrorKind::kData, !result.files.empty(),
      "{}: expected an index or one *.safetensors file, found {}; name the one to load",
      folder.string(), joined(readable));
  return result;
}

bool holds_weights(const fs::path& folder) {
  const auto names = names_in(folder);
  return std::any_of(names.begin(), names.end(), [](const fs::path& name) {
    return name.extension() == kSuffix || name.extension() == ".gguf" || is_pickle(name) ||
           is_index(name.string());
  });
}

void check_weight_format(const fs::path& path) {
  SPARSESCOPE_CHECK(
      ErrorKind::kUnsupported, !is_pickle(path),
      "{}: pickled weights are never loaded, because they can run any code; convert the "
      "file to .safetensors",
      path.string());
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, path.extension() != ".gguf",
                    "{}: GGUF files are not supported; expected .safetensors", path.string());
}

std::string list_folder(const fs::path& folder) { return joined(names_in(folder)); }

}  // namespace sparsescope
