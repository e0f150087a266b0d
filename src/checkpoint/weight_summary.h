// What the tensors of a checkpoint are made of, for reports.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "checkpoint/state_dict.h"

namespace sparsescope {

struct DtypeUse {
  int64_t tensors = 0;
  uint64_t bytes = 0;
};

// By dtype as written in the files: "BF16", "F32", also types that this program does not know.
std::map<std::string, DtypeUse> dtype_uses(const StateDict& weights);

}  // namespace sparsescope
