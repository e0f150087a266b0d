// The kernels of each implementation.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/cuda_attention.h"
#include "kernels/impl.h"

namespace sparsescope {

const AttentionKernels& attention_kernels(Impl impl);

// Of one of the CUDA back end's.
cuda::Body cuda_body(Impl impl);

}  // namespace sparsescope
