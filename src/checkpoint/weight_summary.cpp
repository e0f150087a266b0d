#include "checkpoint/weight_summary.h"

namespace sparsescope {

std::map<std::string, DtypeUse> dtype_uses(const StateDict& weights) {
  std::map<std::string, DtypeUse> uses;
  for (const std::string& name : weights.names()) {
    const TensorInfo& info = weights.info(name);
    DtypeUse& use = uses[info.dtype_text];
    ++use.tensors;
    use.bytes += info.bytes();
  }
  return uses;
}

}  // namespace sparsescope
