// What the reducers measured at one attention call: named arrays of raw values with a leading head
// axis, in the names and definitions of the profile file ("coverage_row",
// "vmoba/temporal:2/recall_topk").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/attention_hook.h"

namespace sparsescope {

struct StatArray {
  std::string name;
  std::vector<int64_t> shape;  // [H, ...]
  std::vector<std::string>
      axes;                    // name of each axis behind the head: "f", "tile", "distance_t", ...
  std::vector<double> values;  // row-major
};

struct SiteStatistics {
  SiteKey site;
  std::vector<StatArray> arrays;
  std::vector<float> map;  // [H, N, N] tile mass where the site's map was asked for, else empty
};

}  // namespace sparsescope
