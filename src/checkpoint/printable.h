// Names from files are opaque and may hold anything: this is how they enter messages.
#pragma once

#include <string>
#include <string_view>

namespace sparsescope {

// Control characters escaped, so that a name cannot steer a terminal; long names cut in the middle.
std::string printable(std::string_view name);

}  // namespace sparsescope
