// What must hold before anything is timed. Deviations are the largest |found - expected| over the
// largest |expected| of the values compared.
//
// Full tensors are compared with LibTorch's. Selections that LibTorch cannot express are compared
// with fp64 arithmetic at sampled tokens: as rows (out, lse, dq) over the keys that the lists give
// them, and as keys (dk, dv) over the rows whose lists hold them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/attention_problem.h"
#include "kernels/attention.h"

namespace sparsescope {

struct AgreementBounds {
  double forward = 0, backward = 0;
};

AgreementBounds agreement_bounds(Dtype dtype);

double deviation(std::span<const float> found, std::span<const float> expected);

// Error(kInternal): what differs and by how much; nothing was timed.
void require_agreement(const std::string& what, double found, double bound);

// A forward pass and, where dq is not empty, its gradients, each [B, H, S, D]; lse [B, H, S].
struct AttentionResult {
  std::vector<float> out, lse;
  std::vector<float> dq, dk, dv;
};

// The worst deviation of a pass from fp64 arithmetic. Tokens are spread over the sequence, the same
// in every head.
struct SampledDeviation {
  double forward = 0, backward = 0;
};
SampledDeviation sampled_deviation(const AttentionProblem& problem,
                                   const SparseSelection& selection, const AttentionResult& result,
                                   ThreadPool& pool);
inline constexpr int64_t kSampledTokens = 12;

}  // namespace sparsescope
