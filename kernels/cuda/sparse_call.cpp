#include "kernels/cuda/sparse_call.h"

#include <algorithm>

#include "kernels/cuda/cuda_attention.h"

namespace sparsescope::cuda {

int32_t heads_per_wave(int64_t wave_bytes, int64_t bytes_per_head, int64_t heads) {
  return static_cast<int32_t>(std::clamp<int64_t>(wave_bytes / bytes_per_head, 1, heads));
}

int32_t max_strand_blocks() {
  constexpr int32_t kPerMultiprocessor = 8;
  return kPerMultiprocessor * current_device().multiprocessors;
}

bool all_f16(std::initializer_list<AttentionTensor> tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const AttentionTensor& x) { return x.dtype == Dtype::kF16; });
}

WaveStrands::WaveStrands(const SparseSelection& selection, int32_t heads, cudaStream_t stream)
    : selection_(selection),
      heads_(heads),
      stream_(stream),
      strands_(kNumHeights * selection.num_strands, stream),
      counters_(2 * kNumHeights, stream) {}

void WaveStrands::find(HeadRange heads, StrandQueue (&queues)[kNumHeights]) {
  counters_.fill_zero();
  list_strands_by_height(selection_, heads_, heads.first, heads.count, strands_.data(),
                         counters_.data(), stream_);
  for (int i = 0; i < kNumHeights; ++i) {
    queues[i] = {.strands = strands_.data() + i * selection_.num_strands,
                 .count = counters_.data() + i,
                 .next = counters_.data() + kNumHeights + i};
  }
}

}  // namespace sparsescope::cuda
