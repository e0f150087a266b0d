// The coarse branch of VSA for one (batch, head): attention between the means of all tiles,
// selected or not, whose output every row of a tile receives through the gate.
//   Qc, Kc, Vc = means over a tile's valid tokens;  A = softmax_row(scale Qc Kc^T)
//   Oc = A Vc;  out += gate * Oc
// Text has no part in it. Rows of A are worked out 64 query tiles at a time and never kept.
#pragma once

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/impl.h"
#include "sparse/matrix.h"
#include "sparse/token_layout.h"

namespace sparsescope {

struct VsaCoarseCall {
  AttentionTensor q, k, v;                // [B, H, S, D]
  const AttentionTensor* gate = nullptr;  // [B, H, S, D], null: 1
  float scale = 1.0f;
  int64_t batch = 0, head = 0;
  const TokenLayout* layout = nullptr;  // of the tiles
  Impl impl = Impl::kReference;
};

// Oc [N, D]
Matrix vsa_coarse_output(const VsaCoarseCall& call);

// out += gate * Oc on the rows of each tile.
void add_vsa_coarse(const VsaCoarseCall& call, const Matrix& coarse,
                    const MutableAttentionTensor& out);

// Adds the gradients that reach q, k and v through the coarse branch:
//   dOc = sum over a tile's rows of d_out * gate;  dVc = A^T dOc
//   dZ = A * (dOc Vc^T - row sums of A * dOc Vc^T);  dQc = scale dZ Kc;  dKc = scale dZ^T Qc
// each spread evenly over the tile's tokens.
void add_vsa_coarse_gradients(const VsaCoarseCall& call, const AttentionTensor& d_out,
                              const MutableAttentionTensor& dq, const MutableAttentionTensor& dk,
                              const MutableAttentionTensor& dv);

// dgate = d_out * Oc; text rows are left alone.
void write_vsa_gate_gradient(const VsaCoarseCall& call, const Matrix& coarse,
                             const AttentionTensor& d_out, const MutableAttentionTensor& dgate);

}  // namespace sparsescope
