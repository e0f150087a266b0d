// The coarse branch of VSA alone, forward and backward, with clipped tiles of every size: against
// autograd of its definition in fp64.
#include "sparse/vsa_coarse.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/near.h"
#include "unit/sparse/autograd.h"

namespace sparsescope::testing {
namespace {

// out, dq, dk, dv and dgate that the branch adds to zeros.
AttendRun run_coarse(const AttendProblem& problem, const TileShape& block, Impl impl, Dtype dtype) {
  const NarrowInputs narrow(problem, dtype);
  const AttendInputs& in = narrow.inputs;
  const Qkv& x = problem.x;
  const TokenLayout layout =
      make_token_layout(TileGrid(problem.grid, block), problem.prefix, problem.suffix);
  AttendRun run;
  for (const char* name : {"out", "dq", "dk", "dv", "dgate"}) run.floats[name].resize(x.q.size());
  const auto view = [&](const char* name) {
    return contiguous_output(run.floats[name].data(), x.heads, x.tokens, x.head_dim);
  };
  for (int64_t head = 0; head < x.heads; ++head) {
    const VsaCoarseCall call{.q = in.q,
                             .k = in.k,
                             .v = in.v,
                             .gate = in.gate ? &*in.gate : nullptr,
                             .scale = static_cast<float>(problem.scale()),
                             .head = head,
                             .layout = &layout,
                             .impl = impl};
    const Matrix coarse = vsa_coarse_output(call);
    add_vsa_coarse(call, coarse, view("out"));
    add_vsa_coarse_gradients(call, *in.d_out, view("dq"), view("dk"), view("dv"));
    if (in.gate) write_vsa_gate_gradient(call, coarse, *in.d_out, view("dgate"));
  }
  return run;
}

// A line of tiles of 64 tokens, the last of which is clipped to any size.
TEST(VsaCoarse, EverySizeOfTheLastTile) {
  for (int64_t size = 1; size <= 64; ++size) {
    const AttendProblem problem =
        make_problem(1, 2, {1, 1, 3 * 64 + size}, size % 3, size % 2, 16, size % 2 == 0);
    const AttendProblem rounded = rounded_to(problem, Dtype::kBF16);
    const Truth truth = autograd_coarse(problem, {1, 1, 64}),
                rounded_truth = autograd_coarse(rounded, {1, 1, 64});
    for (const Impl impl : available_impls()) {
      SCOPED_TRACE(std::string(impl_name(impl)) + " size " + std::to_string(size));
      const AttendRun exact = run_coarse(problem, {1, 1, 64}, impl, Dtype::kF32);
      const AttendRun half = run_coarse(rounded, {1, 1, 64}, impl, Dtype::kBF16);
      for (const auto& [name, expected] : truth) {
        EXPECT_TRUE(near(exact.floats.at(name), expected, {.max_scaled = 1e-5})) << name;
        // published: 1e-2; ours widens bf16
        EXPECT_TRUE(near(half.floats.at(name), rounded_truth.at(name), {.max_scaled = 1e-5}))
            << name;
      }
    }
  }
}

// Tiles clipped on every axis, with scores from equal to very large.
TEST(VsaCoarse, ClippedCubesAtEveryScaleOfScores) {
  for (const float factor : {0.0f, 1.0f, 16.0f}) {
    AttendProblem problem = make_problem(1, 2, {5, 9, 10}, 2, 3, 64, true);
    for (float& value : problem.x.q) value *= factor;
    const Truth truth = autograd_coarse(problem, {4, 4, 4});
    for (const Impl impl : available_impls()) {
      SCOPED_TRACE(std::string(impl_name(impl)) + " x" + std::to_string(factor));
      const AttendRun run = run_coarse(problem, {4, 4, 4}, impl, Dtype::kF32);
      for (const auto& [name, expected] : truth) {
        const double bound = factor > 1 ? 3e-5 : 1e-5;
        EXPECT_TRUE(near(run.floats.at(name), expected, {.max_scaled = bound})) << name;
      }
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
