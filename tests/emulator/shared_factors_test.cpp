// Products of a warp group whose factors both lie in shared memory, with rows along the depth or
// across it, of every width that the kernels use.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/warpgroup.cuh"
#include "emulator/cuda_on_host.h"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/sm90/matrix_descriptor.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kRows = 64, kDepth = 64, kSteps = kDepth / 16;

// [extent, 64 deep] by Major::kDepth, [64 deep, extent] by Major::kColumn.
template <Major kMajor, int kExtent>
struct Factor {
  static constexpr int kTileRows = kMajor == Major::kDepth ? kExtent : kDepth;
  static constexpr int kTileColumns =
      kMajor == Major::kDepth ? kDepth : (kExtent + sm90::kStripColumns - 1) / 64 * 64;

  alignas(1024) unsigned char tile[kTileRows * kTileColumns * 2];

  void write(int of_result, int k, float value) {
    const int row = kMajor == Major::kDepth ? of_result : k;
    const int column = kMajor == Major::kDepth ? k : of_result;
    const int offset = column / 64 * kTileRows * sm90::kStripRowBytes + row * sm90::kStripRowBytes +
                       (column % 64 / 8 ^ row % 8) * 16 + column % 8 * 2;
    const __nv_bfloat16 element = __float2bfloat16_rn(value);
    std::memcpy(tile + offset, &element, sizeof element);
  }
  uint64_t descriptor(int step) const {
    const uint32_t address = shared_address(tile);
    if (kMajor == Major::kDepth) {
      return sm90::keys_descriptor(address) + sm90::keys_step<kTileRows>(step);
    }
    return sm90::values_descriptor<kTileRows>(address) + sm90::values_step(step);
  }
};

template <Major kLeft, Major kRight, int kColumns>
struct Factors {
  Factor<kLeft, kRows> left;
  Factor<kRight, kColumns> right;
};

// Exact in bf16, and so are the sums in fp32.
float left_value(int row, int k) { return static_cast<float>((row * 5 + k * 3) % 17 - 8); }
float right_value(int column, int k) { return static_cast<float>((column * 7 + k * 11) % 13 - 6); }

template <Major kLeft, Major kRight, int kColumns>
void product_kernel(float* result) {
  auto& shared = *reinterpret_cast<Factors<kLeft, kRight, kColumns>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  for (int i = thread; i < kRows * kDepth; i += 128) {
    shared.left.write(i / kDepth, i % kDepth, left_value(i / kDepth, i % kDepth));
  }
  for (int i = thread; i < kColumns * kDepth; i += 128) {
    shared.right.write(i / kDepth, i % kDepth, right_value(i / kDepth, i % kDepth));
  }
  fence_async_proxy();
  __syncthreads();
  float d[kColumns / 8][4];
  for (auto& octet : d) std::fill(std::begin(octet), std::end(octet), 1.0f);
  begin_products(d);
  for (int step = 0; step < kSteps; ++step) {
    start_product_shared<__nv_bfloat16, kLeft, kRight>(d, shared.left.descriptor(step),
                                                       shared.right.descriptor(step), step > 0);
  }
  end_products();
  wait_for_products<0>(d);
  for (int i = 0; i < kColumns / 2; ++i) {
    const int row = thread / 32 * 16 + lane / 4 + i % 4 / 2 * 8;
    result[row * kColumns + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i / 4][i % 4];
  }
}

template <Major kLeft, Major kRight, int kColumns>
void expect_plain_product() {
  SCOPED_TRACE(kColumns);
  std::vector<float> result(kRows * kColumns, NAN);
  launch(product_kernel<kLeft, kRight, kColumns>,
         {.grid = dim3(1),
          .block = dim3(128),
          .shared_bytes = sizeof(Factors<kLeft, kRight, kColumns>)},
         nullptr, result.data());
  for (int i = 0; i < kRows * kColumns; ++i) {
    float sum = 0.0f;
    for (int k = 0; k < kDepth; ++k)
      sum += left_value(i / kColumns, k) * right_value(i % kColumns, k);
    ASSERT_EQ(result[i], sum) << i;
  }
}

template <Major kLeft, Major kRight>
void expect_plain_products() {
  expect_plain_product<kLeft, kRight, 32>();
  expect_plain_product<kLeft, kRight, 64>();
  expect_plain_product<kLeft, kRight, 128>();
}

TEST(SharedFactors, AgreeWithPlainProducts) {
  expect_plain_products<Major::kDepth, Major::kDepth>();
  expect_plain_products<Major::kDepth, Major::kColumn>();
  expect_plain_products<Major::kColumn, Major::kDepth>();
  expect_plain_products<Major::kColumn, Major::kColumn>();
}

}  // namespace
}  // namespace sparsescope::cuda
