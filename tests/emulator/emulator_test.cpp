// The emulator itself: that it runs kernels as a GPU does, and that it catches what a GPU would
// only sometimes show.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "arch/async_copy.cuh"
#include "arch/block.cuh"
#include "arch/launch.h"
#include "emulator/cuda_on_host.h"
#include "emulator/engine.h"

namespace sparsescope::cuda {
namespace {

using ::testing::HasSubstr;

// Sums of each warp by shuffles, of the block through shared memory.
void block_sum_kernel(const int* values, int* sums) {
  __shared__ int of_warp[8];
  const int thread = static_cast<int>(threadIdx.x);
  int sum = values[blockIdx.x * blockDim.x + threadIdx.x];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  if (thread % 32 == 0) of_warp[thread / 32] = sum;
  __syncthreads();
  if (thread == 0) sums[blockIdx.x] = std::accumulate(of_warp, of_warp + blockDim.x / 32, 0);
}

TEST(Emulator, BlocksWarpsAndBarriers) {
  std::vector<int> values(3 * 128), sums(3, -1);
  std::iota(values.begin(), values.end(), 0);
  for (const auto schedule : {emulator::Schedule::kForward, emulator::Schedule::kBackward,
                              emulator::Schedule::kShuffled}) {
    emulator::set_schedule(schedule, 5);
    launch(block_sum_kernel, {.grid = dim3(3), .block = dim3(128)}, nullptr, values.data(),
           sums.data());
    EXPECT_THAT(sums, ::testing::ElementsAre(8128, 8128 + 128 * 128, 8128 + 2 * 128 * 128));
  }
  emulator::set_schedule(emulator::Schedule::kForward);
}

void reduce_kernel(int* sums, unsigned* largest, unsigned* same) {
  const auto lane = static_cast<int>(threadIdx.x);
  constexpr unsigned kOdd = 0xaaaaaaaau;
  if (lane % 2 == 0) return;
  sums[lane] = __reduce_add_sync(kOdd, lane - 20);
  largest[lane] = __reduce_max_sync(kOdd, 0xfffffff0u + static_cast<unsigned>(lane / 4));
  same[lane] = __match_any_sync(kOdd, lane % 6 - 3);
}

TEST(Emulator, ReductionsAndMatchesOfSomeLanes) {
  std::vector<int> sums(32);
  std::vector<unsigned> largest(32), same(32);
  launch(reduce_kernel, {.grid = dim3(1), .block = dim3(32)}, nullptr, sums.data(), largest.data(),
         same.data());
  for (int lane = 1; lane < 32; lane += 2) {
    EXPECT_EQ(sums[lane], 16 * (16 - 20));
    EXPECT_EQ(largest[lane], 0xfffffff7u);
    unsigned expected = 0;
    for (int other = lane % 6; other < 32; other += 6) expected |= 1u << other;
    EXPECT_EQ(same[lane], expected);
  }
}

void unsynchronised_kernel(int* out) {
  auto* shared = reinterpret_cast<int*>(dynamic_shared());
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  out[threadIdx.x] = shared[(threadIdx.x + 32) % 64];  // no barrier between
}

TEST(Emulator, AMissingBarrierShows) {
  std::vector<int> forward(64), expected(64);
  for (int i = 0; i < 64; ++i) expected[i] = (i + 32) % 64;
  launch(unsynchronised_kernel, {.grid = dim3(1), .block = dim3(64), .shared_bytes = 256}, nullptr,
         forward.data());
  EXPECT_NE(forward, expected);
}

void copy_kernel(const float* source, float* early, float* late) {
  auto* shared = reinterpret_cast<float*>(dynamic_shared());
  copy_async_16(shared, source, true);
  copy_async_16(shared + 4, source, false);
  commit_copies();
  *early = shared[0];
  wait_for_copies<0>();
  for (int i = 0; i < 8; ++i) late[i] = shared[i];
}

TEST(Emulator, AsynchronousCopiesArriveWhenTheyAreWaitedFor) {
  alignas(16) const float source[4] = {1, 2, 3, 4};
  float early = 0;
  std::vector<float> late(8);
  launch(copy_kernel, {.grid = dim3(1), .block = dim3(1), .shared_bytes = 64}, nullptr, source,
         &early, late.data());
  EXPECT_TRUE(std::isnan(early));
  EXPECT_THAT(late, ::testing::ElementsAre(1, 2, 3, 4, 0, 0, 0, 0));
}

std::string fault_of(void (*kernel)(), const dim3& grid = dim3(1)) {
  try {
    launch(kernel, {.grid = grid, .block = dim3(64)}, nullptr);
  } catch (const emulator::Fault& fault) {
    return fault.what();
  }
  return "";
}

void divergent_kernel() {
  if (threadIdx.x % 2 == 0) {
    __ballot_sync(~0u, 1);
  } else {
    __shfl_sync(~0u, 1, 0);
  }
}

void half_a_barrier_kernel() {
  if (threadIdx.x < 32) sync_named(1, 64);
}

TEST(Emulator, FaultsSayWhatHappened) {
  EXPECT_THAT(fault_of(divergent_kernel), HasSubstr("diverged"));
  EXPECT_THAT(fault_of(half_a_barrier_kernel), HasSubstr("waits for a barrier"));
  EXPECT_THAT(fault_of(divergent_kernel, dim3(1, 65536)), HasSubstr("a GPU takes 65535"));
}

}  // namespace
}  // namespace sparsescope::cuda
