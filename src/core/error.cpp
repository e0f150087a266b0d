#include "core/error.h"

#include <string_view>

namespace sparsescope::detail {

void fail_assert(const char* condition, const char* file, int line) {
  std::string_view path(file);
  const size_t slash = path.find_last_of('/');
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  throw Error(ErrorKind::kInternal, fmt::format("{}:{}: broken invariant: {}", path, line, condition));
}

}  // namespace sparsescope::detail
