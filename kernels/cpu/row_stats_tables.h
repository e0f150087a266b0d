// The tables of the instruction sets; row_stats.cpp chooses between them.
#pragma once

#include "kernels/row_stats.h"

namespace sparsescope {

namespace reference {
const RowStatsKernels& row_stats();
}
namespace cpu_base {
const RowStatsKernels& row_stats();
}
namespace cpu_avx2 {
const RowStatsKernels& row_stats();
}
namespace cpu_avx512 {
const RowStatsKernels& row_stats();
}

}  // namespace sparsescope
