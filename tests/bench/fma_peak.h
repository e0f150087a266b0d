// The machine's measured ceiling.
#pragma once

namespace sparsescope {

// GFLOP/s of one core running independent fp32 multiply-adds in its widest vectors for a moment; 0
// where the CPU has no FMA.
double measure_fma_peak_gflops();

}  // namespace sparsescope
