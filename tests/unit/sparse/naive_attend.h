// What attend is judged by: a problem with all its tensors, the masked softmax with restore and
// coarse branch written out in fp64, and its gradients by finite differences. The selection is
// taken from the result under test (masks are judged elsewhere) and held fixed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sparse/attend.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope::testing {

struct AttendProblem {
  Qkv x;
  std::vector<float> gate, d_out;  // gate may be empty
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;

  AttendInputs inputs() const;
  double scale() const;
};

// Peaked inputs with outliers; with_gate: a gate of both signs.
AttendProblem make_problem(int64_t batch, int64_t heads, const TokenGrid& grid, int64_t prefix,
                           int64_t suffix, int64_t head_dim, bool with_gate);

struct AttendRun {
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, std::vector<uint8_t>> masks;
  std::optional<BlockPlan> plan;
};
AttendRun as_run(AttendResult result);
AttendRun run_attend(const AttendProblem& problem, const std::string& method,
                     const OptionTexts& texts, Impl impl, int threads = 2);

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
