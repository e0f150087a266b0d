// The kernels of each implementation.
#pragma once

#include "kernels/attention.h"
#include "kernels/impl.h"

namespace sparsescope {

const AttentionKernels& attention_kernels(Impl impl);

}  // namespace sparsescope
