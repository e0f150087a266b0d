// Ladders of selections: each step keeps what the steps below it keep, and more. A part (key cell
// or block) has the step at which it enters, so that all steps are read off one walk over the
// parts: VSA's K(f) best tiles, BSA's tiles above a falling cut-off, VMoBA's k best blocks or the
// blocks that a rising tau keeps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sparsescope {

// The attention of one row on parts of the keys.
struct RowParts {
  int64_t head_dim = 0;
  std::vector<double> weight;  // [parts] softmax mass up to a common factor
  std::vector<double> dot;     // [directions, parts] of the direction with weight * output
  std::vector<float> out;      // [parts, D] weight * output; empty where no error is asked for

  int64_t parts() const { return static_cast<int64_t>(weight.size()); }
  int64_t directions() const { return std::ssize(dot) / parts(); }
};

// out [parts, D] and lse [parts] as in CellAttention; directions [m][D].
void load_parts(const float* out, const float* lse, int64_t parts, int64_t head_dim,
                std::span<const float* const> directions, bool with_outputs, RowParts& row);

// Sums the parts c with target[c] == t; parts beyond target's end stand for themselves behind the
// num_targets sums (text).
void fold_parts(const RowParts& row, std::span<const int32_t> target, int64_t num_targets,
                RowParts& folded);

class LadderWalk {
 public:
  // level [parts]: step at which a part enters, num_steps where none does; at the first step one
  // part at least.
  void start(const RowParts& row, std::span<const int32_t> level, int64_t num_steps);

  // change [directions, steps] += <direction, out(step)>
  void add_dots(double* change) const;
  // error [steps] += sum over targets of |out(step) - target|^2; target [D]
  void add_errors(std::span<const float* const> targets, double* error);

 private:
  const RowParts* row_ = nullptr;
  int64_t num_steps_ = 0;
  std::vector<int32_t> first_, order_;  // parts by level
  std::vector<double> weight_;          // [steps] of what is kept
  std::vector<float> sum_;              // [D]
};

}  // namespace sparsescope
