#include "sparse/dot_products_body-inl.h"

namespace sparsescope::detail {

void dot_products_base(const DotProductsParams& params, float* panel) {
  dot_products_body<4>(params, panel);
}

}  // namespace sparsescope::detail
