// The implementations of the kernels and the choice between them at run time.
#pragma once

#include <string_view>
#include <vector>

namespace sparsescope {

enum class Impl { kReference, kCpuBase, kCpuAvx2, kCpuAvx512, kCpuAvx512Bf16 };

// "reference", "cpu-base", "cpu-avx2", "cpu-avx512", "cpu-avx512bf16". The last one differs from
// cpu-avx512 on bf16 inputs alone, which it multiplies as they are.
std::string_view impl_name(Impl impl);

// What this machine can run, slowest first; kReference and kCpuBase always.
std::vector<Impl> available_impls();

// The fastest one, or the one that the environment variable SPARSESCOPE_ISA (base, avx2, avx512,
// avx512bf16)
// names. An unknown name is Error(kUsage), one that this machine lacks Error(kUnsupported); it never
// falls back silently.
Impl default_cpu_impl();

}  // namespace sparsescope
