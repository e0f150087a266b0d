#include "core/thread_pool.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/expect_error.h"

namespace sparsescope {
namespace {

using testing::error_of;

class ThreadPoolOfSize : public ::testing::TestWithParam<int> {};

TEST_P(ThreadPoolOfSize, RunsEveryItemOnceAndIsReused) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (const int64_t items : {0, 1, 3, 1000, 7}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(items));
    std::atomic<bool> worker_in_range{true};
    pool.parallel_for(items, [&](int64_t item, int worker) {
      ++runs[static_cast<size_t>(item)];
      if (worker < 0 || worker >= GetParam()) worker_in_range = false;
    });
    for (const auto& count : runs) ASSERT_EQ(count, 1);
    EXPECT_TRUE(worker_in_range);
  }
}

// State that a worker keeps for itself needs no lock.
TEST_P(ThreadPoolOfSize, AWorkerRunsOneItemAtATime) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> inside(static_cast<size_t>(GetParam()));
  std::atomic<int> collisions{0};
  pool.parallel_for(200, [&](int64_t, int worker) {
    if (inside[static_cast<size_t>(worker)]++ != 0) ++collisions;
    std::this_thread::yield();
    --inside[static_cast<size_t>(worker)];
  });
  EXPECT_EQ(collisions, 0);
}

TEST_P(ThreadPoolOfSize, RethrowsTheFirstErrorAndGoesOnWorking) {
  ThreadPool pool(GetParam());
  std::atomic<int> started{0};
  EXPECT_THROW(pool.parallel_for(100000,
                                 [&](int64_t, int) {
                                   ++started;
                                   throw std::runtime_error("an item failed");
                                 }),
               std::runtime_error);
  EXPECT_LE(started, GetParam());  // the rest was dropped
  std::atomic<int64_t> sum{0};
  pool.parallel_for(100, [&](int64_t item, int) { sum += item; });
  EXPECT_EQ(sum, 4950);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOfSize, ::testing::Values(1, 2, 5));

TEST(ThreadPool, ItemsStartInAscendingOrder) {
  ThreadPool pool(1);
  std::vector<int64_t> order;
  pool.parallel_for(5, [&](int64_t item, int) { order.push_back(item); });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST(ThreadPool, NeedsAThread) {
  error_of(ErrorKind::kUsage, [] { ThreadPool pool(0); });
}

}  // namespace
}  // namespace sparsescope
