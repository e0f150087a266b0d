// Readers of what plan files and costs files have in common: format, version, and the words for
// methods, pools, rules and partitions. All Error(kData) where something else stands there.
#pragma once

#include <string_view>

#include "plan/json_place.h"
#include "plan/plan.h"

namespace sparsescope {

// Another version is Error(kUnsupported); noun names the file in its message.
void check_format(const JsonPlace& root, std::string_view format, int64_t version,
                  std::string_view noun);
Method read_method(const JsonPlace& place);  // an unknown name is Error(kUnsupported)
VmobaPool read_pool(const JsonPlace& place);
VmobaSelect read_select(const JsonPlace& place);
Partition read_fitting_partition(const JsonPlace& place, const TokenGrid& grid);

}  // namespace sparsescope
