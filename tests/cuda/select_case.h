// Inputs of selections on the device, and lists in a form that the host's and the device's share.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "kernels/cuda/device_array.h"
#include "sparse/device_selection.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope::testing {

// q and k of a call on the device, and the values that they hold there. kTokenMajor: heads of a
// token are neighbours, as models leave them.
enum class Order { kHeadMajor, kTokenMajor };
class DeviceInputs {
 public:
  DeviceInputs(Qkv x, Dtype dtype, Order order);
  // x rounded to dtype.
  const Qkv& host() const { return host_; }
  DeviceSelectorCall call(const TokenLayout& layout) const;

 private:
  Qkv host_;
  cuda::DeviceArray<uint8_t> q_, k_;
  AttentionTensor q_view_, k_view_;
};

// Random values, and ones that are sums of few powers of two: the selections' sums are exact, and
// ties are many.
Qkv coarse_qkv(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim, uint64_t seed);

// batch, head, row -> its ranges; a pair that is listed twice is a failure.
using RangesOfRow = std::map<std::tuple<int32_t, int32_t, int32_t>, std::vector<int32_t>>;
RangesOfRow ranges_of_rows(const BlockLists& lists);

// What kernels rely on: items of 1 to 64 rows, ascending lists, strands of a head longest first,
// rows of an item in layout order.
void expect_well_formed(const BlockLists& lists);

// The device's lists are the host's: ranges row by row, key order, density.
void expect_lists(const DeviceSelection& found, const BlockLists& expected, const Qkv& x);

}  // namespace sparsescope::testing
