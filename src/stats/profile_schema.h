// What the datasets and axes of a profile mean: the texts and coordinates that make the file
// explain itself, and the ranges that `check` holds values against.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

inline constexpr std::string_view kProfileFormat = "sparsescope-profile";
inline constexpr int64_t kProfileVersion = 1;
inline const std::vector<std::string> kLeadingAxes = {"prompt", "branch", "step", "layer", "head"};

struct StatisticSchema {
  std::string_view name;  // last component: "coverage_row", "recall_topk"
  std::string_view unit;
  std::string_view description;
  double low = 0;
  double high = 1;
  bool required = true;  // false: only some runs measure it
};

// Every statistic of version 1. A name that is not listed is legal (a later producer) but
// unexplained.
const std::vector<StatisticSchema>& statistic_schemas();
const StatisticSchema* find_statistic(std::string_view array_name);

// "vmoba/temporal:2/recall_topk" -> the same below "/"; others -> "/stats/NAME".
std::string dataset_of_array(const std::string& array_name);

// Exactly one of the three kinds of coordinates is filled.
struct Axis {
  std::string unit;
  std::string description;
  std::vector<double> values;
  std::vector<int64_t> indices;
  std::vector<std::string> labels;
};

// The coordinates of an axis of this length; unknown names count from 0.
Axis describe_axis(const std::string& name, int64_t length);
// The same for axes whose coordinates hang on the tiles too: the windows inside a tile.
Axis describe_axis(const std::string& name, int64_t length, const TileGrid& tiles);
// "k" has another length in every partition, so its scale lies in the partition's group.
std::string scale_of_axis(const std::string& axis, const std::string& dataset);
// Named dimensions must differ: an axis that occurs twice becomes query_NAME, NAME.
std::vector<std::string> distinct_axes(std::vector<std::string> axes);

}  // namespace sparsescope
