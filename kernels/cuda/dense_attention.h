// The driver of dense attention, with what only tests set.
#pragma once

#include "kernels/cuda/cuda_attention.h"

namespace sparsescope::cuda {

struct DenseOptions {
  DeviceMassSink device_sink;  // consume null: masses go to params.sink, if anywhere
  // What waves of heads and chunks of masses may take on the device beside the tensors of the
  // call; never less than one head and one row group.
  int64_t memory_bytes = int64_t{512} << 20;
};

void attend_dense(const DenseAttentionParams& params, Body body, const DenseOptions& options);

}  // namespace sparsescope::cuda
