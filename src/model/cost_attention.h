// What self-attention costs, one head of one layer at a time: dense, and by each sparse method at a
// density, with its selection. S tokens, D head dim, N tiles of c = S / N tokens, M blocks, d the
// density (computed pairs over all pairs), C the model's width.
//
// FLOPs (a multiply-add counts as two, a comparison as one):
//
//             dense   VSA              BSA (keeps r of the queries)     VMoBA
//   attention 4 S^2 D 4 S^2 D d        4 S^2 D d                        4 S^2 D d
//   pooling           2 S D            (1 + r) S D                      S D
//   similarity                         2 S D, cosine with the centre
//   scores            2 N^2 D          2 N^2 D                          2 S M D, the gates
//   ranking           N^2              S + 4 N^2 (mean, deviation, cut) S M
//   output            coarse branch    2 r (1 - r) S c D, the kept      2 S M d D, partial outputs
//                     where gated      query most like a pruned one     of the blocks merged
//
//   VSA's coarse branch: S D (means of v) + 2 N^2 D (its P V) + 2 S D (times gate, added)
//                        + 2 S C D (the gate's projection)
//
// Bytes that kernels load and store which hold some queries while the keys stream by (caches may
// serve the repeats):
//
//   rows       q read and output written, 2 bytes: 2 S D of them; BSA reads kept queries alone.
//              VMoBA as released gathers rows per selected block: S M d D (2 + 2 + 4) bytes
//   keys       k and v once for each group of queries, 2 bytes: pairs / group * 2 D of them. Groups
//              of 64 rows (dense, VMoBA), c (VSA), r c (BSA): as many FLOPs a byte
//   lists      int32, written and read: N (N d + 1) for VSA, N (N d / r + 1) + r S for BSA,
//              S M d for VMoBA
//   selection  q and k read once; scores (fp32) written and read. BSA reads q again to restore,
//              VSA's coarse branch reads v and gate, and writes the gate
//
// Sources: sections on FLOPs of the papers arXiv 2505.13389 (VSA), 2509.01085 (BSA), 2506.23858
// (VMoBA), as far as published: docs/costs.md.
#pragma once

#include "model/cost.h"

namespace sparsescope {

struct AttentionCost {
  double attention = 0;  // FLOPs of Q K^T and P V on the computed pairs
  double pooling = 0, similarity = 0, scores = 0, ranking = 0, output = 0;  // FLOPs
  double row_bytes = 0, key_bytes = 0, list_bytes = 0, selection_bytes = 0;

  double selection_flops() const { return pooling + similarity + scores + ranking + output; }
  double total_flops() const { return attention + selection_flops(); }
  double total_bytes() const { return row_bytes + key_bytes + list_bytes + selection_bytes; }
};
AttentionCost& operator+=(AttentionCost& sum, const AttentionCost& cost);
AttentionCost operator*(double count, const AttentionCost& cost);

struct HeadShape {
  double tokens = 0;    // S
  double head_dim = 0;  // D
};

AttentionCost dense_attention_cost(const HeadShape& head);
// gate_width: C where a learned gate adds the coarse branch; 0: the fine branch alone.
AttentionCost vsa_attention_cost(const HeadShape& head, double density, double tiles,
                                 double gate_width);
// query_keep > 0; density counts the pruned queries as pairs not computed.
AttentionCost bsa_attention_cost(const HeadShape& head, double density, double tiles,
                                 double query_keep);
AttentionCost vmoba_attention_cost(const HeadShape& head, double density, double blocks);

}  // namespace sparsescope
