// Files of a draft whose content is a text.
#pragma once

#include <functional>
#include <string>

#include "export/export_format.h"

namespace sparsescope {

// verify sees the text as it was read back, and the file's name for its messages.
DraftFile text_file(const std::filesystem::path& path, std::string text,
                    std::function<void(const std::string& text, const std::string& what)> verify);
// The same for JSON, indented by two.
DraftFile json_file(const std::filesystem::path& path, const Json& json,
                    std::function<void(const Json& json, const std::string& what)> verify);
// out with another extension, for a file that goes with it; Error(kUsage) where out has that one.
std::filesystem::path companion(const std::filesystem::path& out, const std::string& extension);

// "# " before each line.
std::string comment_block(std::string_view lines);

std::string read_text(const std::filesystem::path& path);  // Error(kData) where it cannot be read

}  // namespace sparsescope
