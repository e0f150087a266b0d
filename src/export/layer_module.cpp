#include "export/layer_module.h"

#include "core/error.h"

namespace sparsescope {

std::string layer_module(const ExportInput& input, const std::string& wan_module, int64_t layer,
                         const std::string& format) {
  constexpr std::string_view kPlace = "{layer}";
  std::string name = input.settings.module;
  if (name.empty()) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, input.plan.model.family == "wan",
                      "{}: the names of {}'s attention modules are unknown here; --module gives "
                      "them, such as \"{}\"",
                      format, input.plan.model.family, wan_module);
    name = wan_module;
  }
  const size_t place = name.find(kPlace);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, place != std::string::npos,
                    "--module: expected a name with {{layer}}, found '{}'", name);
  return name.replace(place, kPlace.size(), fmt::format("{}", layer));
}

}  // namespace sparsescope
