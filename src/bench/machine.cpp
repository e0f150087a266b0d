#include "bench/machine.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <sstream>

#include "bench/fma_peak.h"
#include "bench/torch_attention.h"
#include "kernels/cuda/cuda_attention.h"

namespace sparsescope {
namespace {

constexpr const char* kFeatures[] = {"avx2",     "fma",         "avx512f",     "avx512bw",
                                     "avx512vl", "avx512_bf16", "avx512_fp16", "amx_bf16"};

// The text behind "name : " in /proc/cpuinfo, of the first core.
std::string cpu_field(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with(name) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> found;
  std::istringstream flags(cpu_field("flags"));
  for (std::string flag; flags >> flag;) {
    if (std::ranges::find(kFeatures, flag) != std::end(kFeatures)) found.push_back(flag);
  }
  return found;
}

}  // namespace

Machine describe_machine(Impl impl, const Device& device,
                         const std::map<std::string, std::string>& environment) {
  Machine machine{.cpu = cpu_field("model name"),
                  .cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)),
                  .features = cpu_features(),
                  .level2_bytes = std::max(0L, sysconf(_SC_LEVEL2_CACHE_SIZE)),
                  .level3_bytes = std::max(0L, sysconf(_SC_LEVEL3_CACHE_SIZE)),
                  .kernels = std::string(impl_name(impl)),
                  .compiler = "g++ " __VERSION__,
                  .torch = torch_version(),
                  .torch_capability = torch_cpu_capability(),
                  .date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))),
                  .environment = environment};
  getloadavg(machine.load_average.data(), 3);
  machine.fma_peak_gflops = measure_fma_peak_gflops();
  machine.bf16_peak_gflops = measure_bf16_peak_gflops();
  if (device.is_cuda()) {
    machine.gpu = cuda::current_device().name;
    machine.gpu_peak_gflops = measure_gpu_peak_gflops(device);
  }
  return machine;
}

Json to_json(const Machine& machine) {
  return {{"cpu", machine.cpu},
          {"cores", machine.cores},
          {"features", machine.features},
          {"l2_bytes", machine.level2_bytes},
          {"l3_bytes", machine.level3_bytes},
          {"fma_peak_gflops", machine.fma_peak_gflops},
          {"bf16_peak_gflops", machine.bf16_peak_gflops},
          {"gpu", machine.gpu},
          {"gpu_peak_gflops", machine.gpu_peak_gflops},
          {"kernels", machine.kernels},
          {"compiler", machine.compiler},
          {"torch", machine.torch},
          {"torch_capability", machine.torch_capability},
          {"load_average", machine.load_average},
          {"date", machine.date},
          {"environment", machine.environment}};
}

std::string to_string(const Machine& machine) {
  std::string text = fmt::format(
      "{}, {} cores ({}); {}; torch {} ({}); {}\n"
      "measured peak of a core: {:.1f} GFLOP/s fp32, {:.1f} bf16; load average {:.2f}; {}\n",
      machine.cpu, machine.cores, fmt::join(machine.features, " "), machine.kernels, machine.torch,
      machine.torch_capability, machine.compiler, machine.fma_peak_gflops, machine.bf16_peak_gflops,
      machine.load_average[0], machine.date);
  if (!machine.gpu.empty()) {
    text += fmt::format("{}; measured peak {:.0f} GFLOP/s bf16\n", machine.gpu,
                        machine.gpu_peak_gflops);
  }
  for (const auto& [name, value] : machine.environment) text += fmt::format("{}={}\n", name, value);
  return text;
}

}  // namespace sparsescope
