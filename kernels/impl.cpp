#include "kernels/impl.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "kernels/cuda/cuda_attention.h"

namespace sparsescope {
namespace {

// libgcc's detection also asks the operating system (XGETBV) whether it saves the wide registers.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

Impl impl_of_isa(std::string_view isa) {
  for (const Impl impl : {Impl::kCpuBase, Impl::kCpuAvx2, Impl::kCpuAvx512, Impl::kCpuAvx512Bf16}) {
    if (impl_name(impl).substr(std::string_view("cpu-").size()) == isa) return impl;
  }
  fail(ErrorKind::kUsage, "SPARSESCOPE_ISA: expected base, avx2, avx512 or avx512bf16, found '{}'",
       isa);
}

Impl impl_of_body(std::string_view body) {
  for (const Impl impl : {Impl::kCudaSm80, Impl::kCudaSm90}) {
    if (impl_name(impl).substr(std::string_view("cuda-").size()) == body) return impl;
  }
  fail(ErrorKind::kUsage, "SPARSESCOPE_CUDA_BODY: expected sm80 or sm90, found '{}'", body);
}

}  // namespace

std::string_view impl_name(Impl impl) {
  switch (impl) {
    case Impl::kReference:
      return "reference";
    case Impl::kCpuBase:
      return "cpu-base";
    case Impl::kCpuAvx2:
      return "cpu-avx2";
    case Impl::kCpuAvx512:
      return "cpu-avx512";
    case Impl::kCpuAvx512Bf16:
      return "cpu-avx512bf16";
    case Impl::kCudaSm80:
      return "cuda-sm80";
    case Impl::kCudaSm90:
      return "cuda-sm90";
  }
  fail(ErrorKind::kInternal, "an implementation without a name");
}

std::vector<Impl> available_impls() {
  std::vector<Impl> impls{Impl::kReference, Impl::kCpuBase};
  if (has_avx2()) impls.push_back(Impl::kCpuAvx2);
  if (has_avx512()) impls.push_back(Impl::kCpuAvx512);
  if (has_avx512() && __builtin_cpu_supports("avx512bf16")) {
    impls.push_back(Impl::kCpuAvx512Bf16);
  }
  return impls;
}

std::vector<Impl> available_cuda_impls() {
  const auto& devices = cuda::devices().usable;
  if (devices.empty()) return {};
  std::vector<Impl> impls{Impl::kCudaSm80};
  if (cuda::current_device().major == 9) impls.push_back(Impl::kCudaSm90);
  return impls;
}

Impl default_impl(const Device& device) {
  if (!device.is_cuda()) return default_cpu_impl();
  cuda::use_device(device.index);
  const std::vector<Impl> impls = available_cuda_impls();
  const char* forced = std::getenv("SPARSESCOPE_CUDA_BODY");
  if (forced == nullptr || *forced == '\0') return impls.back();
  const Impl impl = impl_of_body(forced);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    std::find(impls.begin(), impls.end(), impl) != impls.end(),
                    "SPARSESCOPE_CUDA_BODY: {} cannot run {}", cuda::current_device().name,
                    impl_name(impl));
  return impl;
}

bool is_cuda(Impl impl) { return impl == Impl::kCudaSm80 || impl == Impl::kCudaSm90; }

MemorySpace space_of(Impl impl) {
  return is_cuda(impl) ? MemorySpace::kDevice : MemorySpace::kHost;
}

Impl host_impl(Impl impl) { return is_cuda(impl) ? default_cpu_impl() : impl; }

Impl default_cpu_impl() {
  const std::vector<Impl> impls = available_impls();
  const char* forced = std::getenv("SPARSESCOPE_ISA");
  if (forced == nullptr || *forced == '\0') return impls.back();
  const Impl impl = impl_of_isa(forced);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    std::find(impls.begin(), impls.end(), impl) != impls.end(),
                    "SPARSESCOPE_ISA: this machine cannot run {}; its fastest is {}",
                    impl_name(impl), impl_name(impls.back()));
  return impl;
}

}  // namespace sparsescope
