#include "sparse/dot_products.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/rng.h"

namespace sparsescope {
namespace {

class DotProducts : public ::testing::TestWithParam<Impl> {};

TEST_P(DotProducts, AgreeWithDoubleSumsForAnySize) {
  for (const auto& [num_a, num_b, head_dim] :
       {std::array<int64_t, 3>{1, 1, 1}, {3, 7, 5}, {4, 32, 64}, {5, 33, 64}, {9, 65, 40}}) {
    std::vector<float> a(num_a * head_dim), b(num_b * head_dim);
    for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(normal(1, i));
    for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(normal(2, i));
    const int64_t stride = num_b + 3;
    std::vector<float> out(num_a * stride, -7.0f);
    std::vector<float> panel;
    dot_products(GetParam(),
                 {.a = a.data(),
                  .num_a = num_a,
                  .b = b.data(),
                  .num_b = num_b,
                  .head_dim = head_dim,
                  .out = out.data(),
                  .stride_out = stride},
                 panel);
    for (int64_t m = 0; m < num_a; ++m) {
      for (int64_t n = 0; n < stride; ++n) {
        double sum = 0;
        for (int64_t d = 0; n < num_b && d < head_dim; ++d) {
          sum += static_cast<double>(a[m * head_dim + d]) * b[n * head_dim + d];
        }
        if (n >= num_b) sum = -7.0;  // the gap between rows stays as it was
        EXPECT_NEAR(out[m * stride + n], sum, 2e-5) << m << " " << n;
      }
    }
  }
}

TEST(DotProductsReference, SumsInDouble) {
  const std::vector<float> a = {3e8f, 1.0f, -3e8f}, ones(3, 1.0f);
  float sum = 0;
  std::vector<float> panel;
  dot_products(
      Impl::kReference,
      {.a = a.data(), .num_a = 1, .b = ones.data(), .num_b = 1, .head_dim = 3, .out = &sum}, panel);
  EXPECT_EQ(sum, 1.0f);
}

INSTANTIATE_TEST_SUITE_P(AllImpls, DotProducts, ::testing::ValuesIn(available_impls()),
                         [](const auto& impl) {
                           std::string name(impl_name(impl.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace sparsescope
