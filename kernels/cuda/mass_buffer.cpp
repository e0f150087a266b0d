#include "kernels/cuda/mass_buffer.h"

namespace sparsescope::cuda {

MassBuffer::MassBuffer(const KeyPlan& plan, int64_t max_items, cudaStream_t stream)
    : num_pieces_(plan.num_pieces()),
      num_bins_(plan.num_bins),
      values_(max_items * floats_per_item(plan), stream) {}

int64_t MassBuffer::floats_per_item(const KeyPlan& plan) {
  constexpr int64_t kPerRow = 3;  // row_factor, lse, entropy
  return (int64_t{plan.num_pieces()} + plan.num_bins + kPerRow) * kRowLanes;
}

int64_t MassBuffer::bytes_per_item(const KeyPlan& plan) {
  return floats_per_item(plan) * static_cast<int64_t>(sizeof(float));
}

MassOutput MassBuffer::output(int64_t num_items) {
  float* next = values_.data();
  const auto take = [&](int64_t lines) {
    float* array = next;
    next += num_items * lines * kRowLanes;
    return array;
  };
  MassOutput output{.num_pieces = num_pieces_, .num_bins = num_bins_};
  output.piece_sums = take(num_pieces_);
  output.row_factor = take(1);
  output.lse = take(1);
  output.entropy = take(1);
  output.bins = take(num_bins_);
  return output;
}

MassChunk as_chunk(const MassOutput& output) {
  return {.num_pieces = output.num_pieces,
          .num_bins = output.num_bins,
          .piece_sums = output.piece_sums,
          .row_factor = output.row_factor,
          .lse = output.lse,
          .entropy = output.entropy,
          .bins = output.bins};
}

}  // namespace sparsescope::cuda
