// How a plan derived from one profile does where another profile was measured: other prompts,
// another resolution, other steps, another seed or checkpoint. By the profiles' curves alone; what
// it does to the model's output, `validate` measures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "derive/method_curves.h"
#include "stats/intervals.h"

namespace sparsescope {

struct PlanOutcome {
  OperatingPoint mean;                      // over prompts
  std::optional<Interval> density, recall;  // of these means; none with one prompt
  std::vector<OperatingPoint> of_prompt;
};

struct PlanTransfer {
  Plan carried;  // on B's grid and steps, see carry_over.h
  PlanOutcome on_a, on_b;
  // The plan that B itself gives for the density that the carried one has on B: of the same method
  // and granularity, weighed alike. Its recall is the most that a transfer can keep.
  std::optional<PlanOutcome> own;
  std::string why_no_own;
};

// plan: derived from a. Error(kData) where a is not of the plan's shape, layers or heads differ, or
// b did not measure what the carried plan sets.
PlanTransfer transfer_plan(const Profile& a, const Profile& b, const Plan& plan,
                           double confidence = 0.95);

}  // namespace sparsescope
