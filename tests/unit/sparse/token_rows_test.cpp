#include "sparse/token_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/rng.h"
#include "kernels/kernel_table.h"

namespace sparsescope {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Values of a [tokens, D] tensor in each type, and what they are in fp32.
struct Typed {
  Dtype dtype;
  std::vector<float> values;
  std::vector<uint16_t> bits;
  const void* data() const {
    return dtype == Dtype::kF32 ? static_cast<const void*>(values.data()) : bits.data();
  }
};

Typed make(Dtype dtype, std::vector<float> values) {
  Typed x{dtype, std::move(values), {}};
  for (float& value : x.values) {
    if (dtype == Dtype::kBF16) value = bf16_to_float(x.bits.emplace_back(float_to_bf16(value)));
    if (dtype == Dtype::kF16) value = f16_to_float(x.bits.emplace_back(float_to_f16(value)));
  }
  return x;
}

TEST(TokenRows, SumsLengthsAndDotsOfEveryTypeAndWidth) {
  constexpr int64_t kTokens = 9, kStride = 200;
  const std::vector<int32_t> tokens = {7, 0, 3, 8};
  for (const Impl impl : available_impls()) {
    const TokenRowKernels& kernels = token_row_kernels(impl);
    for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
      for (const int64_t head_dim : {1, 3, 16, 40, 64, 130}) {
        std::vector<float> drawn(kTokens * kStride);
        for (size_t i = 0; i < drawn.size(); ++i) drawn[i] = static_cast<float>(normal(5, i));
        const Typed x = make(dtype, std::move(drawn));
        const TokenRows rows{x.data(), dtype, kStride, head_dim, tokens.data(), 4};
        std::vector<float> sum(head_dim), unit(4 * head_dim), dots(4);
        kernels.sum(rows, sum.data());
        kernels.normalize(rows, unit.data());
        kernels.dots(unit.data(), 4, head_dim, unit.data(), dots.data());
        const auto at = [&](int64_t r, int64_t d) {
          return static_cast<double>(x.values[tokens[r] * kStride + d]);
        };
        std::vector<double> length(4, 0.0), dot(4, 0.0);
        for (int64_t d = 0; d < head_dim; ++d) {
          double total = 0;
          for (int64_t r = 0; r < 4; ++r) {
            total += at(r, d);
            length[r] += at(r, d) * at(r, d);
            dot[r] += at(r, d) * at(0, d);
          }
          EXPECT_NEAR(sum[d], total, 2e-6);
        }
        for (int64_t r = 0; r < 4; ++r) {
          EXPECT_NEAR(dots[r], dot[r] / std::sqrt(length[r] * length[0]), 1e-6);
          for (int64_t d = 0; d < head_dim; ++d) {
            EXPECT_NEAR(unit[r * head_dim + d], at(r, d) / std::sqrt(length[r]), 1e-6);
          }
        }
      }
    }
  }
}

TEST(TokenRows, EveryHalfPrecisionNumberIsWidenedExactly) {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  const int32_t token = 0;
  for (const Impl impl : available_impls()) {
    for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
      std::vector<float> sum(bits.size());
      token_row_kernels(impl).sum({bits.data(), dtype, 65536, 65536, &token, 1}, sum.data());
      for (size_t i = 0; i < bits.size(); ++i) {
        const float expected =
            dtype == Dtype::kBF16 ? bf16_to_float(bits[i]) : f16_to_float(bits[i]);
        if (std::isnan(expected)) {
          ASSERT_TRUE(std::isnan(sum[i])) << i;
        } else {
          ASSERT_EQ(sum[i], expected) << i;
        }
      }
    }
  }
}

TEST(TokenRows, TheReferenceSumsInDouble) {
  const std::vector<float> column = {3e8f, 1.0f, -3e8f}, ones(3, 1.0f);
  const std::vector<int32_t> tokens = {0, 1, 2};
  const AttentionTensor x = contiguous_attention_tensor(column.data(), Dtype::kF32, 1, 1, 3, 1);
  const TokenRowKernels& kernels = token_row_kernels(Impl::kReference);
  float sum = 0, dot = 0;
  kernels.sum(token_rows(x, 0, 0, tokens), &sum);
  kernels.dots(column.data(), 1, 3, ones.data(), &dot);
  EXPECT_EQ(sum, 1.0f);
  EXPECT_EQ(dot, 1.0f);
}

TEST(TokenRows, FirstBestRowOfEveryColumn) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {1, 5, -kInf, nan, 2,    //
                                     3, 5, -kInf, 1,   nan,  //
                                     3, 4, -kInf, 2,   7};
  for (const Impl impl : available_impls()) {
    std::vector<int32_t> best(5);
    token_row_kernels(impl).first_best_rows(values.data(), 3, 5, best.data());
    EXPECT_EQ(best, (std::vector<int32_t>{1, 0, 0, 0, 2}));
  }
}

TEST(TokenRows, RefusesOtherTypes) {
  const AttentionTensor x{.dtype = Dtype::kF64};
  EXPECT_THROW(token_rows(x, 0, 0, {}), Error);
}

}  // namespace
}  // namespace sparsescope
