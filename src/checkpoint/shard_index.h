// The index of a sharded checkpoint: which file of its folder holds which tensor.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace sparsescope {

// Tensor name -> plain file name. Error(kData) for anything but an object with a weight_map of
// strings, for keys that stand twice, and for names that leave the folder; what names the source.
std::map<std::string, std::string> parse_shard_index(std::string_view json,
                                                     const std::string& what);

}  // namespace sparsescope
