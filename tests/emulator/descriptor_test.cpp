// Our matrix descriptors against CuTe's, bit by bit, for the tiles that the kernels use. CuTe knows
// no shared address on the host and takes it as 0.
#include <gtest/gtest.h>

#include "emulator/cuda_on_host.h"
//
#include <cute/atom/mma_traits_sm90_gmma.hpp>
#include <cute/tensor.hpp>

#include "kernels/cuda/sm90/matrix_descriptor.cuh"

namespace sparsescope::cuda::sm90 {
namespace {

using namespace cute;  // NOLINT: CuTe's literals and layouts
using SM90::GMMA::Major;
using Element = half_t;
constexpr int kRows = 64;

// The first [columns, 16] of a tile that repeats the atom in this order.
template <Major kMajor, typename Atom, typename Shape, typename Order>
uint64_t of_cute(Atom atom, Shape shape, Order order) {
  const auto layout = tile_to_shape(atom, shape, order);
  const auto tile = make_tensor(make_smem_ptr(static_cast<Element*>(nullptr)), layout);
  return SM90::GMMA::make_gmma_desc<kMajor>(
      local_tile(tile, make_shape(size<0>(layout), _16{}), make_coord(_0{}, _0{})));
}

// All keys of a strip of 64 columns, then the next strip.
TEST(MatrixDescriptor, IsCutes) {
  const auto keys = SM90::GMMA::Layout_K_SW128_Atom<Element>{};
  const Step<_1, _2> rows_first;
  EXPECT_EQ(keys_descriptor(0), of_cute<Major::K>(keys, Shape<Int<kRows>, _64>{}, rows_first));
  EXPECT_EQ(keys_descriptor(0), of_cute<Major::K>(keys, Shape<Int<kRows>, _128>{}, rows_first));
  const auto values = SM90::GMMA::Layout_MN_SW128_Atom<Element>{};
  const Step<_2, _1> depth_first;
  EXPECT_EQ(values_descriptor<kRows>(0),
            of_cute<Major::MN>(values, Shape<_128, Int<kRows>>{}, depth_first));
  // A left factor with rows across the depth: 64 of the result's rows are one strip. CuTe names no
  // leading offset then.
  constexpr uint64_t kLeadingOffset = 0x3fffull << 16;
  EXPECT_EQ(values_descriptor<kRows>(0) & ~kLeadingOffset,
            of_cute<Major::MN>(values, Shape<_64, Int<kRows>>{}, depth_first) & ~kLeadingOffset);
}

}  // namespace
}  // namespace sparsescope::cuda::sm90
