// A Python file that binds one name to a dictionary, for consumers that take their settings as
// arguments of a call.
#pragma once

#include <string>
#include <string_view>

#include "core/json_io.h"

namespace sparsescope {

// comment: lines above the assignment.
std::string to_python(const Json& object, std::string_view name, std::string_view comment);
// The dictionary back; Error(kData) for anything but comments and that assignment.
Json parse_python(std::string_view text, std::string_view name, const std::string& what);

}  // namespace sparsescope
