#include "kernels/kernel_table.h"

#include "core/error.h"
#include "kernels/reference/reference.h"

namespace sparsescope {

const AttentionKernels& attention_kernels(Impl impl) {
  static constexpr AttentionKernels kReferenceKernels{.dense = reference::dense_attention,
                                                      .sparse = reference::sparse_attention};
  switch (impl) {
    default:
      return kReferenceKernels;
  }
}

}  // namespace sparsescope
