// The YAML that exports need: nested mappings of scalars, two blanks a level, comment lines. Read
// strictly as the same JSON object; anything else of YAML is an error.
#pragma once

#include <string>
#include <string_view>

#include "core/json_io.h"

namespace sparsescope {

// object: objects, numbers, booleans and strings. comment: lines that open the file.
std::string to_flat_yaml(const Json& object, std::string_view comment);
Json parse_flat_yaml(std::string_view text, const std::string& what);  // Error(kData) with the line

}  // namespace sparsescope
