// Where and with what a benchmark ran: timings mean nothing without it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/json_io.h"
#include "kernels/impl.h"

namespace sparsescope {

// Of the JSON of all benchmarks, "format": "sparsescope-bench".
inline constexpr int kBenchVersion = 1;

struct Machine {
  std::string cpu;  // model name
  int cores = 0;
  std::vector<std::string> features;  // vector instruction sets of the CPU that matter here
  int64_t level2_bytes = 0, level3_bytes = 0;
  double fma_peak_gflops = 0;   // fp32, one core
  double bf16_peak_gflops = 0;  // one core; 0: no such instruction
  std::string gpu;  // "NVIDIA H100 80GB HBM3"; empty where the host computes, as what follows
  double gpu_peak_gflops = 0;  // bf16 matrix product of LibTorch's
  std::string kernels;         // "cpu-avx512"
  std::string compiler;
  std::string torch, torch_capability;             // "2.11.0", "AVX512"
  std::array<double, 3> load_average{};            // over 1, 5 and 15 minutes, before the run
  std::string date;                                // UTC
  std::map<std::string, std::string> environment;  // variables that change the results, where set
};

// Measures the peaks, which takes half a second.
Machine describe_machine(Impl impl, const Device& device,
                         const std::map<std::string, std::string>& environment);

Json to_json(const Machine& machine);
std::string to_string(const Machine& machine);  // a few lines for people

}  // namespace sparsescope
