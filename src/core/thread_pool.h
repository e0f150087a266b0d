// A fixed set of threads that share out numbered items. Workers sleep between calls (they never
// spin), so that LibTorch's own pool gets the cores while the model runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace sparsescope {

class ThreadPool {
 public:
  // threads >= 1; the calling thread is worker 0, so threads - 1 are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls body(item, worker) for item in [0, num_items), in ascending order of start, and returns
  // when all are done. worker is in [0, size()). The first exception is rethrown here; items not
  // yet started are then dropped. Not reentrant.
  void parallel_for(int64_t num_items, const std::function<void(int64_t item, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
