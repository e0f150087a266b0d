// Matrix products of a warp group (wgmma, sm_90a): four warps, the first one's number divisible by
// four, multiply [64, 16] by [16, N] into fp32 sums. The products run beside the program: they are
// started in groups, and their registers, factors and sums, must not be touched before they have
// been waited for.
//
// Of the 64 rows warp w of the group holds 16 w .. 16 w + 15, in the fragments of mma.m16n8k16: d
// [octet][4] are columns 8 octet + 2 (lane % 4) and the next, of rows lane / 4 and lane / 4 + 8.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cute/arch/mma_sm90_gmma.hpp>
#include <type_traits>
#include <utility>

namespace sparsescope::cuda {

// How a factor lies in shared memory.
enum class Major {
  kDepth,   // rows along the depth K of the product: [N, K], a left factor [M, K]
  kColumn,  // rows along the columns N of the result, [K, N]; of a left factor along its rows, [K,
            // M]
};

namespace detail {

using cute::SM90::GMMA::Major;

// The instructions for a left factor in registers and for one in shared memory.
template <typename Elem, int kColumns>
struct Wgmma;
template <>
struct Wgmma<__nv_bfloat16, 32> {
  template <Major kLeft, Major kRight>
  using InRegisters = cute::SM90::GMMA::MMA_64x32x16_F32BF16BF16_RS<kLeft, kRight>;
  template <Major kLeft, Major kRight>
  using InShared = cute::SM90::GMMA::MMA_64x32x16_F32BF16BF16_SS<kLeft, kRight>;
};
template <>
struct Wgmma<__nv_bfloat16, 64> {
  template <Major kLeft, Major kRight>
  using InRegisters = cute::SM90::GMMA::MMA_64x64x16_F32BF16BF16_RS<kLeft, kRight>;
  template <Major kLeft, Major kRight>
  using InShared = cute::SM90::GMMA::MMA_64x64x16_F32BF16BF16_SS<kLeft, kRight>;
};
template <>
struct Wgmma<__nv_bfloat16, 128> {
  template <Major kLeft, Major kRight>
  using InRegisters = cute::SM90::GMMA::MMA_64x128x16_F32BF16BF16_RS<kLeft, kRight>;
  template <Major kLeft, Major kRight>
  using InShared = cute::SM90::GMMA::MMA_64x128x16_F32BF16BF16_SS<kLeft, kRight>;
};
template <>
struct Wgmma<__half, 32> {
  template <Major kLeft, Major kRight>
  using InRegisters = cute::SM90::GMMA::MMA_64x32x16_F32F16F16_RS<kLeft, kRight>;
  template <Major kLeft, Major kRight>
  using InShared = cute::SM90::GMMA::MMA_64x32x16_F32F16F16_SS<kLeft, kRight>;
};
template <>
struct Wgmma<__half, 64> {
  template <Major kLeft, Major kRight>
  using InRegisters = cute::SM90::GMMA::MMA_64x64x16_F32F16F16_RS<kLeft, kRight>;
  template <Major kLeft, Major kRight>
  using InShared = cute::SM90::GMMA::MMA_64x64x16_F32F16F16_SS<kLeft, kRight>;
};
template <>
struct Wgmma<__half, 128> {
  template <Major kLeft, Major kRight>
  using InRegisters = cute::SM90::GMMA::MMA_64x128x16_F32F16F16_RS<kLeft, kRight>;
  template <Major kLeft, Major kRight>
  using InShared = cute::SM90::GMMA::MMA_64x128x16_F32F16F16_SS<kLeft, kRight>;
};

template <sparsescope::cuda::Major kMajor>
inline constexpr Major kCutes = kMajor == sparsescope::cuda::Major::kDepth ? Major::K : Major::MN;

// Keeps the compiler from moving what it does with registers past this point.
template <typename T, int kFragments>
__device__ inline void pin(T (&registers)[kFragments][4]) {
#pragma unroll
  for (int i = 0; i < kFragments; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) cute::warpgroup_fence_operand(registers[i][j]);
  }
}

}  // namespace detail

// Before the first product of a group: orders what the program did with the registers of the
// products (all of them, factors and sums) before the products.
template <typename... Registers>
__device__ inline void begin_products(Registers&... registers) {
  (detail::pin(registers), ...);
  cute::warpgroup_arrive();
}

// d [64, 8 kOctets] = a b, or d += a b. a: of the thread's warp; b: descriptor of the right factor.
template <typename Elem, Major kMajor, int kOctets>
__device__ inline void start_product(float (&d)[kOctets][4], const uint32_t (&a)[4], uint64_t b,
                                     bool accumulate) {
  using cute::SM90::GMMA::ScaleOut;
  using Instruction =
      detail::Wgmma<Elem, 8 * kOctets>::template InRegisters<detail::Major::K,
                                                             detail::kCutes<kMajor>>;
  [&]<size_t... kIdx>(std::index_sequence<kIdx...>) {
    Instruction::fma(a[0], a[1], a[2], a[3], b, d[kIdx / 4][kIdx % 4]...,
                     accumulate ? ScaleOut::One : ScaleOut::Zero);
  }
  (std::make_index_sequence<4 * kOctets>{});
}

// The same with the left factor [64, 16], too, in shared memory.
template <typename Elem, Major kLeftMajor, Major kRightMajor, int kOctets>
__device__ inline void start_product_shared(float (&d)[kOctets][4], uint64_t a, uint64_t b,
                                            bool accumulate) {
  using cute::SM90::GMMA::ScaleOut;
  using Instruction =
      detail::Wgmma<Elem, 8 * kOctets>::template InShared<detail::kCutes<kLeftMajor>,
                                                          detail::kCutes<kRightMajor>>;
  [&]<size_t... kIdx>(std::index_sequence<kIdx...>) {
    Instruction::fma(a, b, d[kIdx / 4][kIdx % 4]..., accumulate ? ScaleOut::One : ScaleOut::Zero);
  }
  (std::make_index_sequence<4 * kOctets>{});
}

__device__ inline void end_products() { cute::warpgroup_commit_batch(); }

// Waits until at most kGroupsLeft of the newest groups are under way; names the registers of those
// that are done by this.
template <int kGroupsLeft, typename... Registers>
__device__ inline void wait_for_products(Registers&... registers) {
  cute::warpgroup_wait<kGroupsLeft>();
  (detail::pin(registers), ...);
}

}  // namespace sparsescope::cuda
