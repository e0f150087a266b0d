#include "sparse/dot_products.h"

namespace sparsescope {
namespace {

void dot_products_reference(const DotProductsParams& p) {
  for (int64_t m = 0; m < p.num_a; ++m) {
    for (int64_t n = 0; n < p.num_b; ++n) {
      double sum = 0;
      for (int64_t d = 0; d < p.head_dim; ++d) {
        sum += static_cast<double>(p.a[m * p.head_dim + d]) * p.b[n * p.head_dim + d];
      }
      p.out[m * p.stride_out + n] = static_cast<float>(sum);
    }
  }
}

}  // namespace

void dot_products(Impl impl, const DotProductsParams& params, std::vector<float>& panel) {
  if (params.num_a == 0 || params.num_b == 0) return;
  panel.resize(params.head_dim * detail::kMaxPanelColumns);
  switch (host_impl(impl)) {
    case Impl::kReference:
      return dot_products_reference(params);
    case Impl::kCpuAvx2:
      return detail::dot_products_avx2(params, panel.data());
    case Impl::kCpuAvx512:
    case Impl::kCpuAvx512Bf16:
      return detail::dot_products_avx512(params, panel.data());
    default:
      return detail::dot_products_base(params, panel.data());
  }
}

}  // namespace sparsescope
