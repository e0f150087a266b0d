// Density against recall or error of every measured partition, by layer and prompt, under one rule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stats/profile.h"

namespace sparsescope {

struct SelectionRule {
  std::string name;    // "top-k", "tau of query_head"
  std::string suffix;  // of the arrays: "topk", "tau"
  int64_t pool = 0;    // of tau
};

std::vector<SelectionRule> selection_rules();

struct PartitionCurve {
  std::vector<double> density;   // not decreasing
  std::vector<double> goodness;  // recall, or minus the error
};

// NaN outside the measured densities, or without a curve.
double goodness_at(const PartitionCurve& curve, double density);
// The least density that is as good; NaN where none is.
double density_reaching(const PartitionCurve& curve, double goodness);

class PartitionCurves {
 public:
  PartitionCurves(const Profile& profile, const std::vector<Partition>& partitions,
                  const SelectionRule& rule, bool by_error, const std::vector<int64_t>& prompts);

  const PartitionCurve& at(size_t partition, int64_t layer, size_t prompt) const {
    return curves_[(partition * layers_ + static_cast<size_t>(layer)) * prompts_ + prompt];
  }

 private:
  size_t layers_, prompts_;
  std::vector<PartitionCurve> curves_;  // [partitions, layers, prompts]
};

}  // namespace sparsescope
