// JSON of files: parsed strictly, with the file named in every error.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sparsescope {

using Json = nlohmann::ordered_json;

// Duplicate keys and nesting deeper than 64 are errors. what names the source in messages.
// Error(kData).
Json parse_json(std::string_view text, const std::string& what);
// The value as JSON for a message; a long one is cut.
std::string brief(const Json& value);
// At most max_bytes are read, else Error(kData); a missing file is Error(kData).
Json read_json_file(const std::filesystem::path& path, int64_t max_bytes = int64_t{1} << 28);

}  // namespace sparsescope
