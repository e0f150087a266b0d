#include "kernels/cuda/mass_reduction.h"

#include "kernels/cuda_stub/not_compiled.h"

namespace sparsescope::cuda {

struct MassReduction::State {};

std::shared_ptr<const ReductionTables> make_reduction_tables(const ReductionLayout&) {
  fail_not_compiled();
}

MassReduction::MassReduction(std::shared_ptr<const ReductionTables>, const AttentionTensor&,
                             const AttentionTensor&, float, float*, int64_t) {
  fail_not_compiled();
}
MassReduction::~MassReduction() = default;
void MassReduction::consume(const MassChunk&, void*) { fail_not_compiled(); }
std::vector<ReducedHead> MassReduction::finish() { fail_not_compiled(); }

}  // namespace sparsescope::cuda
