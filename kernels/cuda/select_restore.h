// BSA's pruned rows: their outputs, copied from the kept row that stands in for each, and the
// gradients that kept rows answer for.
#pragma once

#include <cstdint>

#include "core/tensor_view.h"
#include "kernels/cuda/select_layout.h"

namespace sparsescope::cuda {

struct RestoreMap {
  SelectPlanes planes;
  SelectLayout layout;
  int32_t heads = 1;                      // H
  int32_t prefix = 0;                     // text tokens before the video
  const int32_t* restore_from = nullptr;  // [planes, video_tokens] as in BlockLists
};

// out on the device: row u becomes row restore_from[u], or zero for -1.
void restore_rows(const RestoreMap& map, const MutableAttentionTensor& out, int64_t head_dim);

// d_kept, on the device, of the planes' heads: row r becomes the sum of d_out over the rows that
// take r's output, r itself first, others ascending; zero where r is pruned. Text rows are copied.
void gather_gradients(const RestoreMap& map, const AttentionTensor& d_out,
                      const MutableAttentionTensor& d_kept);

// NaN into the planes' rows of lse [B, H, tokens] on the device.
void fill_lse(const SelectPlanes& planes, int64_t tokens, float* lse);

}  // namespace sparsescope::cuda
