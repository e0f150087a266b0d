#include "kernels/cpu/row_stats_table-inl.h"
#include "kernels/cpu/row_stats_tables.h"

namespace sparsescope::cpu_base {

const RowStatsKernels& row_stats() { return kRowStats; }

}  // namespace sparsescope::cpu_base
