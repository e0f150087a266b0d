#include "kernels/row_stats.h"

#include "kernels/cpu/row_stats_tables.h"

namespace sparsescope {

const RowStatsKernels& row_stats_kernels(Impl impl) {
  switch (host_impl(impl)) {
    case Impl::kReference:
      return reference::row_stats();
    case Impl::kCpuAvx2:
      return cpu_avx2::row_stats();
    case Impl::kCpuAvx512:
    case Impl::kCpuAvx512Bf16:
      return cpu_avx512::row_stats();
    default:
      return cpu_base::row_stats();
  }
}

}  // namespace sparsescope
