// A result of an attention call under the name that it gets in the output file.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace sparsescope {

struct NamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::variant<std::vector<float>, std::vector<uint8_t>> values;
};

}  // namespace sparsescope
