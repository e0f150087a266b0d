#include "sparse/dot_products_body-inl.h"

namespace sparsescope::detail {

void dot_products_avx2(const DotProductsParams& params, float* panel) {
  dot_products_body<8>(params, panel);
}

}  // namespace sparsescope::detail
