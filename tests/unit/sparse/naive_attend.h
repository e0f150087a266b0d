// What attend is judged by: the masked softmax with restore and coarse branch written out in fp64,
// and its gradients by finite differences. The selection is taken from the result under test (masks
// are judged elsewhere) and held fixed.
#pragma once

#include <cstdint>
#include <vector>

#include "unit/sparse/attend_problem.h"

namespace sparsescope::testing {

// The tensors that a loss is differentiated by, in fp64.
struct NaiveTensors {
  std::vector<double> q, k, v, gate;  // [B, H, S, D]
};
NaiveTensors tensors_of(const AttendProblem& problem);

// out [B, H, S, D] of the method under the run's selection.
std::vector<double> naive_attend(const AttendProblem& problem, const NaiveTensors& tensors,
                                 const AttendRun& run);

// d (out . d_out) / d tensor[index], by central differences.
double naive_derivative(const AttendProblem& problem, const AttendRun& run,
                        std::vector<double> NaiveTensors::*tensor, int64_t index);

}  // namespace sparsescope::testing
