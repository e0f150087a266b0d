// The selection kernels where there is no CUDA compiler.
#include "kernels/cuda/select_gate_products.h"
#include "kernels/cuda/select_means.h"
#include "kernels/cuda/select_pools.h"
#include "kernels/cuda/select_queries.h"
#include "kernels/cuda/select_restore.h"
#include "kernels/cuda/select_row_lists.h"
#include "kernels/cuda/select_rows.h"
#include "kernels/cuda/select_scores.h"
#include "kernels/cuda/select_strands.h"
#include "kernels/cuda/select_tile_lists.h"
#include "kernels/cuda_stub/not_compiled.h"

namespace sparsescope::cuda {
void tile_means(const TileMeans&) { fail_not_compiled(); }
bool gates_by_mma(const AttentionTensor&) { fail_not_compiled(); }
void tile_scores(const TileScores&) { fail_not_compiled(); }

void select_top_k(const ScoreRows&, const int32_t*) { fail_not_compiled(); }
void select_gaussian(const ScoreRows&, const GaussianRule*) { fail_not_compiled(); }
void select_query_gates(const ScoreRows&, const int32_t*, const QueryGateRule&) {
  fail_not_compiled();
}

void start_pools(const Pools&) { fail_not_compiled(); }
void extents_pass(const Pools&, const GateWave&) { fail_not_compiled(); }
void measure_pools(const Pools&) { fail_not_compiled(); }
void digit_pass(const Pools&, const GateWave&, int32_t) { fail_not_compiled(); }
void advance_pools(const Pools&, int32_t) { fail_not_compiled(); }
void mark_pass(const Pools&, const GateWave&) { fail_not_compiled(); }
void share_ties(const Pools&) { fail_not_compiled(); }
void ties_pass(const Pools&, const GateWave&) { fail_not_compiled(); }

void select_queries(const QuerySelect&) { fail_not_compiled(); }
int64_t query_select_bytes(int32_t, int64_t) { fail_not_compiled(); }

void scan_counts(const int32_t*, int32_t, int32_t, int32_t, int64_t*, int64_t*) {
  fail_not_compiled();
}
void add_text_strands(const TextStrands&) { fail_not_compiled(); }
void sort_strands(const StrandTable&, int32_t, SparseStrand*, int64_t*) { fail_not_compiled(); }
void fill_tile_lists(const TileLists&) { fail_not_compiled(); }
int32_t run_rows(int32_t, int32_t, int32_t) { fail_not_compiled(); }
void count_row_lists(const RowLists&, int32_t*) { fail_not_compiled(); }
void fill_row_lists(const RowLists&) { fail_not_compiled(); }

void restore_rows(const RestoreMap&, const MutableAttentionTensor&, int64_t) {
  fail_not_compiled();
}
void gather_gradients(const RestoreMap&, const AttentionTensor&, const MutableAttentionTensor&) {
  fail_not_compiled();
}
void fill_lse(const SelectPlanes&, int64_t, float*) { fail_not_compiled(); }

}  // namespace sparsescope::cuda
