#include "kernels/cpu/workspace.h"

#include <cstdlib>

#include "core/error.h"

namespace sparsescope::cpu {

void AlignedBuffer::Free::operator()(float* values) const { std::free(values); }

float* AlignedBuffer::reserve(size_t count) {
  if (count <= capacity_) return values_.get();
  constexpr size_t kLine = 64;
  const size_t bytes = (count * sizeof(float) + kLine - 1) / kLine * kLine;
  values_.reset();
  capacity_ = 0;
  auto* values = static_cast<float*>(std::aligned_alloc(kLine, bytes));
  SPARSESCOPE_CHECK(ErrorKind::kResource, values != nullptr,
                    "attention work memory: {} bytes are not to be had", bytes);
  values_.reset(values);
  capacity_ = count;
  return values;
}

RowTile RowWorkspace::tile(int32_t lanes, int32_t head_dim) {
  const size_t columns = static_cast<size_t>(head_dim) * lanes;
  RowTile rows;
  rows.lanes = lanes;
  rows.q_t = q_t.reserve(columns);
  rows.out_t = out_t.reserve(columns);
  rows.scores = scores.reserve(static_cast<size_t>(kKeyBlock) * lanes);
  rows.prob_pairs = prob_pairs.reserve(static_cast<size_t>(kPairRows) * lanes);
  rows.row_max = row_state.reserve(2 * static_cast<size_t>(lanes));
  rows.row_sum = rows.row_max + lanes;
  return rows;
}

RowWorkspace& row_workspace() {
  thread_local RowWorkspace workspace;
  return workspace;
}

}  // namespace sparsescope::cpu
