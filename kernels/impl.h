// The implementations of the kernels and the choice between them at run time.
#pragma once

#include <string_view>
#include <vector>

#include "core/device.h"

namespace sparsescope {

enum class Impl {
  kReference,
  kCpuBase,
  kCpuAvx2,
  kCpuAvx512,
  kCpuAvx512Bf16,
  kCudaSm80,
  kCudaSm90
};

// "reference", "cpu-base", "cpu-avx2", "cpu-avx512", "cpu-avx512bf16", "cuda-sm80", "cuda-sm90".
// cpu-avx512bf16 differs from cpu-avx512 on bf16 inputs alone, which it multiplies as they are. The
// last two are bodies of the CUDA back end, for any GPU from compute capability 8.0 on and for 9.0.
std::string_view impl_name(Impl impl);

// What this machine's processor can run, slowest first; kReference and kCpuBase always.
std::vector<Impl> available_impls();
// What the current GPU can run, slowest first; empty where there is none. They compute in 16-bit
// elements with fp32 sums.
std::vector<Impl> available_cuda_impls();

// The fastest one where a run computes; makes a GPU the current one. Error(kUnsupported) or
// Error(kNotCompiled) where there is no such GPU. On a GPU the environment variable
// SPARSESCOPE_CUDA_BODY (sm80, sm90) names another; errors as of SPARSESCOPE_ISA.
Impl default_impl(const Device& device);

bool is_cuda(Impl impl);
// Where the implementation's kernels take tensors without copying them.
MemorySpace space_of(Impl impl);
// What computes on the host beside the implementation: itself, or the fastest one of the processor.
Impl host_impl(Impl impl);

// The fastest one, or the one that the environment variable SPARSESCOPE_ISA (base, avx2, avx512,
// avx512bf16)
// names. An unknown name is Error(kUsage), one that this machine lacks Error(kUnsupported); it
// never falls back silently.
Impl default_cpu_impl();

}  // namespace sparsescope
