// Contract of the attention kernels: plain structs, raw pointers, no allocation of results, no
// validation (the callers in src/ did that).
//
//   P = softmax(scale * Q K^T) over all keys of a row,  out = P V,  lse = ln sum exp(scale * q.k)
//
// The dense kernel optionally hands each row group's exact masses to a sink: for every row and key
// cell the probability on that cell, the row's entropy, and the probability by absolute key
// coordinate along t, h and w. They come from the same pass over K and V as the output; no buffer
// grows with S * S or S * cells.
#pragma once

#include <cstdint>

#include "core/key_cells.h"
#include "core/row_groups.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"

namespace sparsescope {

// Statistics of one block of at most 64 query rows. Lanes >= num_rows hold zero.
struct RowBlockMasses {
  int32_t first_row = 0;  // position in RowGroups::order
  int32_t num_rows = 0;
  const float* mass = nullptr;     // [num_cells, 64] probability of the row on the cell
  const float* lse = nullptr;      // [64] natural log, scale included
  const float* entropy = nullptr;  // [64] nats
  const float* mass_t = nullptr;   // [T, 64] probability on keys of latent frame t; text excluded
  const float* mass_h = nullptr;   // [Hg, 64]
  const float* mass_w = nullptr;   // [Wg, 64]
};

struct RowGroupMasses {
  int64_t batch = 0;
  int64_t head = 0;
  int32_t group = 0;  // index into RowGroups::groups
  int32_t num_blocks = 0;
  const RowBlockMasses* blocks = nullptr;  // [num_blocks]
};

// Called by a worker thread once per (batch, head, video row group); the pointers die on return.
struct MassSink {
  void* context = nullptr;
  void (*consume)(void* context, int worker, const RowGroupMasses& masses) = nullptr;
};

struct DenseAttentionParams {
  AttentionTensor q, k, v;  // [B, H, S, D] fp32, bf16 or fp16; D <= 256
  float scale = 1.0f;
  MutableAttentionTensor out;  // [B, H, S, D]
  float* lse = nullptr;        // [B, H, S], may be null
  const KeyCells* cells = nullptr;
  const RowGroups* rows = nullptr;
  MassSink sink;  // consume == nullptr: plain attention
};

// Sparse attention: rows in blocks of at most 64, each against a list of key ranges. One softmax
// over the union of a row's ranges.
struct KeyRange {
  int32_t first = 0;  // position in key_order
  int32_t count = 0;
};

// A run of rows against a run of key ranges.
struct SparseItem {
  int32_t first_row = 0;    // into SparseSelection::rows
  int32_t num_rows = 0;     // 1 .. kRowLanes
  int32_t first_range = 0;  // into SparseSelection::range_ids
  int32_t num_ranges = 0;   // 0 is legal: output 0, lse -inf
};

// The items of one (batch, head) that one worker runs in order. Where a row occurs in several items
// (VMoBA: one item per key block and the rows that chose it), all of them lie in one strand and
// their partial results are merged by their running maxima, in item order. Items with the same run
// of range ids, one behind the other, have no row in common.
struct SparseStrand {
  int32_t batch = 0;
  int32_t head = 0;
  int32_t first_item = 0;
  int32_t num_items = 0;
  bool merges = false;  // some row occurs in more than one item
};

struct SparseSelection {
  const int32_t* key_order = nullptr;  // [num_keys] position -> token index
  int64_t num_keys = 0;
  const KeyRange* ranges = nullptr;  // [num_ranges] shared by all heads; disjoint
  int64_t num_ranges = 0;
  const int32_t* rows = nullptr;       // token index of each row of each item
  const int32_t* range_ids = nullptr;  // ascending within an item
  const SparseItem* items = nullptr;
  const SparseStrand* strands = nullptr;  // [num_strands]; workers take them in this order
  int64_t num_strands = 0;
  MemorySpace space = MemorySpace::kHost;  // of all the lists
};

// Rows in no item that take the output of a row in one (BSA's pruned queries). Strands that merge
// have none. For kernels/cuda alone, beside the selection; on the host callers copy themselves.
struct RowCopies {
  int64_t num_rows = 0;             // the first rows of SparseSelection::rows; others have none
  const int32_t* first = nullptr;   // [num_rows + 1] into tokens: where those of a row begin
  const int32_t* tokens = nullptr;  // that take the row's output, not its lse
};

struct SparseAttentionParams {
  AttentionTensor q, k, v;  // [B, H, S, D]
  float scale = 1.0f;
  MutableAttentionTensor out;  // [B, H, S, D]; rows in no item are left untouched
  float* lse = nullptr;        // [B, H, S], may be null
  SparseSelection selection;
  RowCopies copies;
};

// Gradients of the sparse pass; dense attention is the selection of every key by every row. With
// P the probabilities of a row over its selected keys, one softmax over their union:
//   dP = d_out V^T,  dS = P * (dP - d_out . out),  dq = scale dS K,  dk = scale dS^T Q,  dv = P^T
//   d_out
struct SparseBackwardParams {
  AttentionTensor q, k, v;     // [B, H, S, D]
  AttentionTensor out;         // [B, H, S, D] of the forward pass with the same selection
  AttentionTensor d_out;       // [B, H, S, D]
  const float* lse = nullptr;  // [B, H, S] of the forward pass
  float scale = 1.0f;
  MutableAttentionTensor dq, dk, dv;  // [B, H, S, D]: every row of the heads that have a strand is
                                      // written, zero for rows in no item and keys in no list
  SparseSelection selection;
  // Whether a GPU, too, adds up every sum in one order, run for run; it is slower so. The host
  // always does.
  bool deterministic = false;
};

struct AttentionKernels {
  void (*dense)(const DenseAttentionParams& params, ThreadPool& pool);
  void (*sparse)(const SparseAttentionParams& params, ThreadPool& pool);
  void (*sparse_backward)(const SparseBackwardParams& params, ThreadPool& pool);
};

}  // namespace sparsescope
