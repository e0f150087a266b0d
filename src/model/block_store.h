// The weights of a model's blocks: the first ones resident where the model runs, the others fetched
// when their turn comes. On a GPU a streamed block is loaded and copied in the background, through
// page-locked memory and a stream of its own, while the block before it computes: two blocks of
// memory on either side.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/Event.h>

#include <array>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <vector>

#include "model/weight_map.h"

namespace sparsescope {

class BlockStore {
 public:
  using Load = std::function<WeightMap(int64_t layer)>;  // into host memory

  // Loads the resident ones. prefetch: streamed blocks are fetched ahead.
  BlockStore(Load load, int64_t layers, int64_t resident, at::Device device, bool prefetch);
  ~BlockStore();
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;

  // body(weights). Blocks are asked for in ascending or descending order, time and again.
  template <typename Body>
  auto with(int64_t layer, Body body) {
    if (layer < static_cast<int64_t>(resident_.size())) {
      return body(resident_[static_cast<size_t>(layer)]);
    }
    if (!prefetch_) return body(load_(layer));
    return body(fetched(layer));
  }

  // Streamed blocks that are in memory at once.
  static int64_t streamed_at_once(bool prefetch) { return prefetch ? 2 : 1; }

 private:
  struct Slot {
    int64_t layer = -1;
    std::future<void> loading;
    WeightMap weights;                   // where the model runs
    WeightMap staged;                    // page-locked, of a GPU
    std::optional<c10::Event> arrived;   // weights are complete
    std::optional<c10::Event> released;  // the last use of weights is done
  };

  const WeightMap& fetched(int64_t layer);
  void start(Slot& slot, int64_t layer);
  void load_into(Slot& slot, int64_t layer);
  int64_t next_after(int64_t layer) const;

  Load load_;
  int64_t layers_;
  at::Device device_;
  bool prefetch_;
  std::vector<WeightMap> resident_;
  std::array<Slot, 2> slots_;
  int64_t last_ = -1;  // layer fetched last
  std::optional<c10::Stream> copies_;
};

}  // namespace sparsescope
