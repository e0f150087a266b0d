// The measured ceiling of one core: independent multiply-adds in its widest vectors, and nothing
// else, for a moment. Processor time, since the machine may be busy.
#pragma once

namespace sparsescope {

double measure_fma_peak_gflops();   // fp32; 0 where the CPU has no FMA
double measure_bf16_peak_gflops();  // vdpbf16ps; 0 without AVX-512 BF16

}  // namespace sparsescope
