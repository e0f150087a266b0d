#include "apps/timing_environment.h"

#include <cstdlib>

#include "bench/machine.h"

namespace sparsescope {

std::map<std::string, std::string> timing_environment() {
  std::map<std::string, std::string> found;
  for (const char* name : {"SPARSESCOPE_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS",
                           "OMP_WAIT_POLICY", "OMP_NUM_THREADS"}) {
    if (const char* value = std::getenv(name)) found[name] = value;
  }
  return found;
}

Json timing_machine() {
  return to_json(describe_machine(default_cpu_impl(), Device{}, timing_environment()));
}

}  // namespace sparsescope
