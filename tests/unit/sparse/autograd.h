// What attend's gradients are judged by on cases too large for finite differences: dense attention
// under a mask in fp64, differentiated by LibTorch's autograd. The selection is taken from the
// result under test and held fixed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/near.h"
#include "unit/sparse/attend_problem.h"

namespace sparsescope::testing {

// out, dq, dk, dv, and dgate where there is a gate: [B, H, S, D].
using Truth = std::map<std::string, std::vector<double>>;

// Of the method that the run's plan names, text, restored rows and the coarse branch included.
Truth autograd_attend(const AttendProblem& problem, const AttendRun& run);

// The same for one run after the other: only a selection that differs from the one before
// makes work, and implementations mostly agree.
class TruthOf {
 public:
  explicit TruthOf(const AttendProblem& problem) : problem_(problem) {}

  const Truth& operator()(const AttendRun& run);

 private:
  const AttendProblem& problem_;
  std::optional<AttendRun> run_;
  Truth truth_;
};

// Every array of the truth, near what the run found.
void expect_truth(const AttendRun& run, const Truth& truth, const Tolerance& tolerance);

// One masked softmax: attends [B * H, S, S], non-zero where a row attends to a key. Rows without a
// key have output 0.
Truth autograd_masked(const AttendProblem& problem, const std::vector<uint8_t>& attends);

// VSA's coarse branch alone, zero on text rows.
Truth autograd_coarse(const AttendProblem& problem, const TileShape& block);

}  // namespace sparsescope::testing
