// The cases of tests/golden/methods: inputs, options of `sparsescope attend`, and what public
// implementations give for them. Masks are exact; a value x agrees with y where
// |x - y| <= r * (m + M), m the largest |y| of its row, M the mean of m; a value of lse is its own
// row.
#pragma once

#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "core/json_io.h"

namespace sparsescope::testing {

struct GoldenArray {
  bool bytes = false;  // uint8 instead of fp32
  std::vector<int64_t> shape;
  std::vector<double> values;
};
using GoldenArrays = std::map<std::string, GoldenArray>;

// Every tensor of a safetensors file.
GoldenArrays read_arrays(const std::filesystem::path& path);

struct GoldenMethod {
  std::string name;
  std::filesystem::path inputs;
  std::vector<std::string> args;
  Json tolerance;
  GoldenArrays expected;

  // The same arrays, of the same types and shapes, within the tolerances.
  void expect(const GoldenArrays& found, const std::string& what) const;
};

std::vector<std::string> golden_method_names();
GoldenMethod golden_method(const std::string& name);

}  // namespace sparsescope::testing
