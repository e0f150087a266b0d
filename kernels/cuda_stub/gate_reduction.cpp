#include "kernels/cuda/gate_reduction.h"

#include "kernels/cuda_stub/not_compiled.h"

namespace sparsescope::cuda {

struct GateReduction::State {};

std::shared_ptr<const GateTables> make_gate_tables(const GateLayout&) { fail_not_compiled(); }

GateReduction::GateReduction(std::shared_ptr<const GateTables>, const AttentionTensor&,
                             const AttentionTensor&, int64_t) {
  fail_not_compiled();
}
GateReduction::~GateReduction() = default;
void GateReduction::reduce_rows(const float*, float) { fail_not_compiled(); }
std::vector<std::vector<ReducedGates>> GateReduction::finish() { fail_not_compiled(); }

}  // namespace sparsescope::cuda
