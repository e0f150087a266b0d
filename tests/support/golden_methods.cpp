#include "support/golden_methods.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/safetensors.h"

namespace sparsescope::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(SPARSESCOPE_TEST_DATA) / "methods";

void expect_values(const GoldenArray& found, const GoldenArray& expected, double rel, size_t width,
                   const std::string& what) {
  std::vector<double> largest(expected.values.size() / width, 0.0);
  double mean = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    largest[i / width] = std::max(largest[i / width], std::abs(expected.values[i]));
  }
  for (const double m : largest) mean += m / static_cast<double>(largest.size());
  for (size_t i = 0; i < expected.values.size(); ++i) {
    ASSERT_LE(std::abs(found.values[i] - expected.values[i]), rel * (largest[i / width] + mean))
        << what << " at " << i << ": expected " << expected.values[i] << ", found "
        << found.values[i];
  }
}

}  // namespace

GoldenArrays read_arrays(const fs::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  GoldenArrays arrays;
  for (const TensorInfo& info : file.tensors()) {
    const StoredTensor stored = file.fetch(info.name);
    GoldenArray& array = arrays[info.name];
    array.bytes = stored.dtype == Dtype::kU8;
    array.shape = stored.shape;
    if (array.bytes) {
      for (const int64_t value : to_int64(stored, info.name)) {
        array.values.push_back(static_cast<double>(value));
      }
    } else {
      const std::vector<float> values = to_float(stored, info.name);
      array.values.assign(values.begin(), values.end());
    }
  }
  return arrays;
}

std::vector<std::string> golden_method_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

GoldenMethod golden_method(const std::string& name) {
  const Json json = read_json_file(kFolder / (name + ".json"));
  return {name, kFolder / (name + ".in.safetensors"),
          json.at("args").get<std::vector<std::string>>(), json.at("tolerance"),
          read_arrays(kFolder / (name + ".expect.safetensors"))};
}

void GoldenMethod::expect(const GoldenArrays& found, const std::string& what) const {
  EXPECT_EQ(found.size(), expected.size()) << what;
  for (const auto& [array_name, wanted] : expected) {
    const std::string place = what + ": " + name + ": " + array_name;
    const auto at = found.find(array_name);
    ASSERT_NE(at, found.end()) << place;
    EXPECT_EQ(at->second.bytes, wanted.bytes) << place;
    ASSERT_EQ(at->second.shape, wanted.shape) << place;
    if (tolerance.at(array_name).contains("exact")) {
      EXPECT_EQ(at->second.values, wanted.values) << place;
    } else {
      const auto width = array_name == "lse" ? 1 : static_cast<size_t>(wanted.shape.back());
      expect_values(at->second, wanted, tolerance.at(array_name).at("rel").get<double>(), width,
                    place);
    }
  }
}

}  // namespace sparsescope::testing
