// The twins of Hopper's instructions: what they compute, and what they catch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "arch/reduction.cuh"
#include "arch/store_matrix.cuh"
#include "arch/tensor_copy.cuh"
#include "arch/warpgroup.cuh"
#include "emulator/cuda_on_host.h"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/sm90/matrix_descriptor.cuh"
#include "kernels/cuda/sm90/tensor_map.h"

namespace sparsescope::cuda {
namespace {

using ::testing::HasSubstr;

std::string fault_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const emulator::Fault& fault) {
    return fault.what();
  }
  return "";
}

constexpr int kRows = 64;

template <int kHeadDim>
struct Shared {
  alignas(1024) unsigned char tile[kRows * kHeadDim * 2];
  TransactionBarrier barrier;
};

template <int kHeadDim>
std::vector<__half> random_rows(int64_t rows) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  std::vector<__half> values(rows * kHeadDim);
  for (auto& value : values) value = __float2half_rn(normal(random));
  return values;
}

template <int kHeadDim>
CUtensorMap map_of(const std::vector<__half>& rows, int64_t heads = 1) {
  const auto per_head = static_cast<int64_t>(rows.size()) / kHeadDim / heads;
  return sm90::map_rows({.data = rows.data(),
                         .heads = heads,
                         .rows = per_head,
                         .head_dim = kHeadDim,
                         .stride_head = per_head * kHeadDim,
                         .stride_row = kHeadDim},
                        kRows, true);
}

// Reads the tile of 64 rows from first_row of a head before and after it was waited for.
template <int kHeadDim>
void copy_kernel(CUtensorMap map, int first_row, int head, float* early, float* found) {
  auto& shared = *reinterpret_cast<Shared<kHeadDim>*>(dynamic_shared());
  init_barrier(shared.barrier, 1);
  arrive_expecting(shared.barrier, sizeof shared.tile);
  copy_box(shared.tile, map, shared.barrier, 0, first_row, 0, head);
  const auto element = [&](int row, int d) {
    const int offset = d / 64 * kRows * 128 + row * 128 + (d % 64 / 8 ^ row % 8) * 16 + d % 8 * 2;
    __half value;
    std::memcpy(&value, shared.tile + offset, sizeof value);
    return __half2float(value);
  };
  *early = element(0, 0);
  wait_for_phase(shared.barrier, 0);
  for (int row = 0; row < kRows; ++row) {
    for (int d = 0; d < kHeadDim; ++d) *found++ = element(row, d);
  }
}

TEST(TensorCopy, BoxesArriveSwizzledWhenTheyAreWaitedFor) {
  constexpr int kHeadDim = 128, kFirst = 40, kHead = 1, kPerHead = 70;
  const auto rows = random_rows<kHeadDim>(2 * kPerHead);
  std::vector<float> found(kRows * kHeadDim);
  float early = 0;
  launch(copy_kernel<kHeadDim>,
         {.grid = dim3(1), .block = dim3(1), .shared_bytes = sizeof(Shared<kHeadDim>)}, nullptr,
         map_of<kHeadDim>(rows, 2), kFirst, kHead, &early, found.data());
  EXPECT_TRUE(std::isnan(early));
  for (int i = 0; i < kRows * kHeadDim; ++i) {
    const int row = kFirst + i / kHeadDim;
    const int64_t at = int64_t{kHead * kPerHead + row} * kHeadDim + i % kHeadDim;
    EXPECT_EQ(found[i], row < kPerHead ? __half2float(rows[at]) : 0.0f) << i;
  }
}

// One warp group multiplies the columns 16 at a time of left [64, depth] with the tile.
template <int kHeadDim, Major kMajor>
struct ProductCall {
  static constexpr int kDepth = kMajor == Major::kDepth ? kHeadDim : kRows;
  static constexpr int kColumns = kMajor == Major::kDepth ? kRows : kHeadDim;
  static constexpr int kSteps = kDepth / 16;

  CUtensorMap map;
  const float* left;                      // [64, kDepth]
  float* result;                          // [64, kColumns]
  uint64_t (*alter)(uint64_t) = nullptr;  // of descriptors
  bool read_early = false, write_early = false, change_factor = false, one_warp_stays_away = false;
};

template <int kHeadDim, Major kMajor>
void product_kernel(ProductCall<kHeadDim, kMajor> call) {
  using Call = ProductCall<kHeadDim, kMajor>;
  auto& shared = *reinterpret_cast<Shared<kHeadDim>*>(dynamic_shared());
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  if (thread == 0) {
    init_barrier(shared.barrier, 1);
    arrive_expecting(shared.barrier, sizeof shared.tile);
    copy_box(shared.tile, call.map, shared.barrier, 0, 0, 0, 0);
  }
  __syncthreads();
  wait_for_phase(shared.barrier, 0);
  if (call.one_warp_stays_away && thread < 32) return;
  const int first_row = thread / 32 * 16 + lane / 4;
  uint32_t a[Call::kSteps][4];
  for (int step = 0; step < Call::kSteps; ++step) {
    for (int r = 0; r < 4; ++r) {
      const float* pair = call.left + (first_row + 8 * (r % 2)) * Call::kDepth + 16 * step +
                          8 * (r / 2) + 2 * (lane % 4);
      a[step][r] = pack_pair<__half>(pair[0], pair[1]);
    }
  }
  float d[Call::kColumns / 8][4];
  for (auto& octet : d) std::fill(std::begin(octet), std::end(octet), 1.0f);
  const uint32_t tile = shared_address(shared.tile);
  begin_products(d, a);
  for (int step = 0; step < Call::kSteps; ++step) {
    uint64_t b = kMajor == Major::kDepth
                     ? sm90::keys_descriptor(tile) + sm90::keys_step<kRows>(step)
                     : sm90::values_descriptor<kRows>(tile) + sm90::values_step(step);
    if (call.alter != nullptr) b = call.alter(b);
    start_product<__half, kMajor>(d, a[step], b, step > 0);
  }
  end_products();
  const float early = d[0][0];
  if (call.write_early) d[0][0] = 0.0f;
  if (call.change_factor) a[0][0] ^= 0x8000u;
  wait_for_products<0>(d, a);
  if (call.read_early) d[0][0] = early;
  for (int i = 0; i < Call::kColumns / 2; ++i) {
    const int row = first_row + i % 4 / 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
    call.result[row * Call::kColumns + column] = d[i / 4][i % 4];
  }
}

template <int kHeadDim, Major kMajor>
class Products {
 public:
  using Call = ProductCall<kHeadDim, kMajor>;

  // The largest difference from the plain product, NaN where there is one.
  float error(Call call = {}) {
    call.map = map_of<kHeadDim>(rows_);
    call.left = left_.data();
    std::vector<float> result(kRows * Call::kColumns);
    call.result = result.data();
    launch(product_kernel<kHeadDim, kMajor>,
           {.grid = dim3(1), .block = dim3(128), .shared_bytes = sizeof(Shared<kHeadDim>)}, nullptr,
           call);
    float largest = 0.0f;
    for (int i = 0; i < kRows * Call::kColumns; ++i) {
      const int row = i / Call::kColumns, column = i % Call::kColumns;
      double sum = 0.0;
      for (int k = 0; k < Call::kDepth; ++k) {
        const int at = kMajor == Major::kDepth ? column * kHeadDim + k : k * kHeadDim + column;
        sum += static_cast<double>(left_[row * Call::kDepth + k]) *
               static_cast<double>(__half2float(rows_[at]));
      }
      const float difference = std::abs(result[i] - static_cast<float>(sum));
      if (!(difference <= largest) && !std::isnan(largest)) largest = difference;
    }
    return largest;
  }

 private:
  std::vector<__half> rows_ = random_rows<kHeadDim>(kRows);
  std::vector<float> left_ = [] {
    std::vector<float> left(kRows * Call::kDepth);
    for (int i = 0; i < static_cast<int>(left.size()); ++i) {
      left[i] = static_cast<float>(i * 37 % 17 - 8) / 8.0f;  // exact in 16 bits
    }
    return left;
  }();
};

constexpr float kSumError = 1e-4f;  // fp32 sums of 128 products
bool wrong(float error) { return !(error < 0.1f); }

TEST(WarpGroupProducts, AgreeWithPlainProducts) {
  EXPECT_LT((Products<64, Major::kDepth>().error()), kSumError);
  EXPECT_LT((Products<128, Major::kDepth>().error()), kSumError);
  EXPECT_LT((Products<64, Major::kColumn>().error()), kSumError);
  EXPECT_LT((Products<128, Major::kColumn>().error()), kSumError);
}

TEST(WarpGroupProducts, AWrongDescriptorGivesWrongNumbers) {
  constexpr uint64_t kUnit = 1;  // 16 bytes
  using Alter = uint64_t (*)(uint64_t);
  Products<64, Major::kDepth> keys;
  Products<128, Major::kColumn> values;
  const Alter start = [](uint64_t b) { return b + kUnit; };
  const Alter leading = [](uint64_t b) { return b - (kUnit << 22); };
  const Alter stride = [](uint64_t b) { return b - (kUnit << 36); };
  EXPECT_TRUE(wrong(values.error({.alter = start})));
  EXPECT_TRUE(wrong(values.error({.alter = leading})));
  EXPECT_TRUE(wrong(values.error({.alter = stride})));
  EXPECT_TRUE(wrong(keys.error({.alter = start})));
  EXPECT_TRUE(wrong(keys.error({.alter = stride})));
  const auto fault = [&](Alter alter) { return fault_of([&] { keys.error({.alter = alter}); }); };
  EXPECT_THAT(fault([](uint64_t b) { return b | kUnit << 49; }), HasSubstr("base offset"));
  EXPECT_THAT(fault([](uint64_t b) { return b + (kUnit << 62); }), HasSubstr("128-byte swizzle"));
  EXPECT_THAT(fault([](uint64_t b) { return b | kUnit << 14; }), HasSubstr("outside its fields"));
}

TEST(WarpGroupProducts, RegistersBelongToTheProductUntilItIsWaitedFor) {
  Products<64, Major::kDepth> keys;
  EXPECT_TRUE(std::isnan(keys.error({.read_early = true})));
  EXPECT_TRUE(wrong(keys.error({.change_factor = true})));
  EXPECT_THAT(fault_of([&] { keys.error({.write_early = true}); }), HasSubstr("were written"));
}

TEST(WarpGroupProducts, TakeAllFourWarps) {
  EXPECT_THAT(fault_of([] { Products<64, Major::kDepth>().error({.one_warp_stays_away = true}); }),
              HasSubstr("other warps of its group"));
}

void forgotten_copy_kernel(CUtensorMap map) {
  auto& shared = *reinterpret_cast<Shared<64>*>(dynamic_shared());
  init_barrier(shared.barrier, 1);
  copy_box(shared.tile, map, shared.barrier, 0, 0, 0, 0);
}
void unset_barrier_kernel(CUtensorMap) {
  arrive(reinterpret_cast<Shared<64>*>(dynamic_shared())->barrier);
}
void two_arrivals_kernel(CUtensorMap) {
  auto& barrier = reinterpret_cast<Shared<64>*>(dynamic_shared())->barrier;
  init_barrier(barrier, 1);
  arrive(barrier);
  wait_for_phase(barrier, 0);
  arrive(barrier);
  wait_for_phase(barrier, 1);
  wait_for_phase(barrier, 0);  // never comes
}

TEST(TransactionBarriers, FaultsSayWhatHappened) {
  const auto rows = random_rows<64>(kRows);
  const auto fault = [&](void (*kernel)(CUtensorMap)) {
    return fault_of([&] {
      launch(kernel, {.grid = dim3(1), .block = dim3(1), .shared_bytes = sizeof(Shared<64>)},
             nullptr, map_of<64>(rows));
    });
  };
  EXPECT_THAT(fault(forgotten_copy_kernel), HasSubstr("copies to it are under way"));
  EXPECT_THAT(fault(unset_barrier_kernel), HasSubstr("that is none"));
  EXPECT_THAT(fault(two_arrivals_kernel), HasSubstr("waits for a transaction barrier"));
}

void turn_kernel(int* out) {
  if (threadIdx.x < 32) {
    *out = 1;
    arrive_named(1, 64);
  } else {
    sync_named(1, 64);
    if (threadIdx.x == 32) *out = 2 * *out;
  }
}

TEST(NamedBarriers, ArrivalsCount) {
  for (const auto schedule : {emulator::Schedule::kForward, emulator::Schedule::kBackward}) {
    emulator::set_schedule(schedule);
    int out = 0;
    launch(turn_kernel, {.grid = dim3(1), .block = dim3(64)}, nullptr, &out);
    EXPECT_EQ(out, 2);
  }
  emulator::set_schedule(emulator::Schedule::kForward);
}

void vote_kernel(int* out) {
  const auto thread = static_cast<int>(threadIdx.x);
  for (int round = 0; round < 4; ++round) {
    // Of every other round one thread's vote.
    const bool any = any_named(2, 64, round % 2 == 1 && thread == 10 * round);
    out[64 * round + thread] = any ? 1 : 0;
  }
}

TEST(NamedBarriers, VotesCount) {
  for (const auto schedule : {emulator::Schedule::kForward, emulator::Schedule::kBackward}) {
    emulator::set_schedule(schedule);
    std::vector<int> out(4 * 64, -1);
    launch(vote_kernel, {.grid = dim3(1), .block = dim3(64)}, nullptr, out.data());
    for (int i = 0; i < 4 * 64; ++i) EXPECT_EQ(out[i], i / 64 % 2) << i;
  }
  emulator::set_schedule(emulator::Schedule::kForward);
}

void store_kernel(uint16_t* out) {
  auto* tile = reinterpret_cast<uint16_t*>(dynamic_shared());  // [4][8 columns][8 rows]
  const auto lane = static_cast<uint32_t>(threadIdx.x);
  const uint32_t row = lane / 4, column = 2 * (lane % 4);
  uint32_t registers[4];
  for (uint32_t m = 0; m < 4; ++m) {
    const uint32_t first = 100 * m + 10 * row + column;
    registers[m] = first | (first + 1) << 16;
  }
  store_matrix_x4_transposed(tile + 8 * lane, registers);
  __syncwarp();
  for (int i = 0; i < 8; ++i) out[8 * lane + i] = tile[8 * lane + i];
}

TEST(StoreMatrix, ColumnsBecomeRows) {
  std::vector<uint16_t> out(256);
  launch(store_kernel, {.grid = dim3(1), .block = dim3(32), .shared_bytes = 512}, nullptr,
         out.data());
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(out[i], 100 * (i / 64) + 10 * (i % 8) + i / 8 % 8) << i;
  }
}

void add_kernel(float* sums) {
  add_to_global(sums, float4{1.0f, 2.0f, 3.0f, static_cast<float>(threadIdx.x)});
}

TEST(GlobalSums, TakeFourAlignedValuesOfEveryThread) {
  alignas(16) float sums[5] = {1.0f};
  const auto add = [&](float* to) {
    launch(add_kernel, {.grid = dim3(2), .block = dim3(4)}, nullptr, to);
  };
  add(sums);
  EXPECT_THAT(sums, ::testing::ElementsAre(9.0f, 16.0f, 24.0f, 12.0f, 0.0f));
  EXPECT_THAT(fault_of([&] { add(sums + 1); }), HasSubstr("not aligned"));
}

}  // namespace
}  // namespace sparsescope::cuda
