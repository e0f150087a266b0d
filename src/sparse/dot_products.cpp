#include "sparse/dot_products.h"

namespace sparsescope {

void dot_products(Impl impl, const DotProductsParams& params, std::vector<float>& panel) {
  if (params.num_a == 0 || params.num_b == 0) return;
  panel.resize(params.head_dim * detail::kMaxPanelColumns);
  switch (impl) {
    case Impl::kReference:
    case Impl::kCpuBase:
      return detail::dot_products_base(params, panel.data());
    case Impl::kCpuAvx2:
      return detail::dot_products_avx2(params, panel.data());
    case Impl::kCpuAvx512:
    case Impl::kCpuAvx512Bf16:
      return detail::dot_products_avx512(params, panel.data());
  }
}

}  // namespace sparsescope
