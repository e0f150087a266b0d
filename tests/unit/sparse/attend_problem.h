// A problem with all the tensors of an attend call, and the calls that tests judge.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "sparse/attend.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope::testing {

struct AttendProblem {
  Qkv x;
  std::vector<float> gate, d_out;  // [B, H, S, D]; may be empty
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;

  AttendInputs inputs() const;
  double scale() const;
};

// Peaked inputs with outliers; with_gate: a gate of both signs.
AttendProblem make_problem(int64_t batch, int64_t heads, const TokenGrid& grid, int64_t prefix,
                           int64_t suffix, int64_t head_dim, bool with_gate);

// The same with every value rounded to the type.
AttendProblem rounded_to(AttendProblem problem, Dtype dtype);

// The problem's tensors as inputs of one type, into which its values are rounded.
class NarrowInputs {
 public:
  NarrowInputs(const AttendProblem& problem, Dtype dtype);

  AttendInputs inputs;

 private:
  void narrow(AttentionTensor& x, Dtype dtype);

  std::list<std::vector<uint16_t>> memory_;  // does not move
};

// A method with its options, for tests over all of them.
struct AttendSetting {
  std::string name, method;
  OptionTexts texts;
  bool gate = false;  // the problem has one
};
inline void PrintTo(const AttendSetting& setting, std::ostream* stream) { *stream << setting.name; }

struct AttendRun {
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, std::vector<uint8_t>> masks;
  std::optional<BlockPlan> plan;
};
AttendRun as_run(AttendResult result);

// Backward too where the problem has a d_out; all inputs in dtype.
AttendRun run_attend(const AttendProblem& problem, const std::string& method,
                     const OptionTexts& texts, Impl impl, int threads = 2,
                     Dtype dtype = Dtype::kF32);

}  // namespace sparsescope::testing
