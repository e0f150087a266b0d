#include "unit/sparse/attend_problem.h"

#include <algorithm>
#include <cmath>

#include "core/rng.h"

namespace sparsescope::testing {
AttendInputs AttendProblem::inputs() const {
  AttendInputs inputs{.q = x.view(x.q), .k = x.view(x.k), .v = x.view(x.v)};
  if (!gate.empty()) inputs.gate = x.view(gate);
  if (!d_out.empty()) inputs.d_out = x.view(d_out);
  return inputs;
}

double AttendProblem::scale() const { return 1.0f / std::sqrt(static_cast<float>(x.head_dim)); }

AttendProblem make_problem(int64_t batch, int64_t heads, const TokenGrid& grid, int64_t prefix,
                           int64_t suffix, int64_t head_dim, bool with_gate) {
  AttendProblem problem{
      .x = random_qkv(batch, heads, prefix + grid.tokens() + suffix, head_dim, 11),
      .grid = grid,
      .prefix = prefix,
      .suffix = suffix};
  for (size_t i = 0; i < problem.x.q.size(); ++i) {
    problem.d_out.push_back(static_cast<float>(normal(21, i)));
    if (with_gate) problem.gate.push_back(static_cast<float>(0.5 + normal(31, i)));
  }
  return problem;
}

NarrowInputs::NarrowInputs(const AttendProblem& problem, Dtype dtype) : inputs(problem.inputs()) {
  if (dtype == Dtype::kF32) return;
  for (AttentionTensor* x : {&inputs.q, &inputs.k, &inputs.v}) narrow(*x, dtype);
  if (inputs.gate) narrow(*inputs.gate, dtype);
  if (inputs.d_out) narrow(*inputs.d_out, dtype);
}

void NarrowInputs::narrow(AttentionTensor& x, Dtype dtype) {
  const auto* values = static_cast<const float*>(x.data);
  std::vector<uint16_t>& halves = memory_.emplace_back(x.batch * x.stride_batch);
  std::transform(values, values + halves.size(), halves.begin(),
                 dtype == Dtype::kBF16 ? float_to_bf16 : float_to_f16);
  x.data = halves.data();
  x.dtype = dtype;
}

AttendProblem rounded_to(AttendProblem problem, Dtype dtype) {
  if (dtype == Dtype::kF32) return problem;
  for (auto* x : {&problem.x.q, &problem.x.k, &problem.x.v, &problem.gate, &problem.d_out}) {
    for (float& value : *x) {
      value = dtype == Dtype::kBF16 ? bf16_to_float(float_to_bf16(value))
                                    : f16_to_float(float_to_f16(value));
    }
  }
  return problem;
}

AttendRun as_run(AttendResult result) {
  AttendRun run;
  for (NamedArray& output : result.outputs) {
    if (auto* values = std::get_if<std::vector<float>>(&output.values)) {
      run.floats[output.name] = std::move(*values);
    } else {
      run.masks[output.name] = std::get<std::vector<uint8_t>>(output.values);
    }
  }
  run.plan = std::move(result.plan);
  return run;
}

AttendRun run_attend(const AttendProblem& problem, const std::string& method,
                     const OptionTexts& texts, Impl impl, int threads, Dtype dtype) {
  const NarrowInputs narrow(problem, dtype);
  ThreadPool pool(threads);
  return as_run(attend(narrow.inputs,
                       {.grid = problem.grid,
                        .prefix = problem.prefix,
                        .suffix = problem.suffix,
                        .method = parse_method_settings(method, texts, problem.grid),
                        .backward = !problem.d_out.empty()},
                       impl, pool));
}

}  // namespace sparsescope::testing
