#include "model/block_store.h"

#include <c10/core/GradMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

namespace sparsescope {
namespace {

c10::Stream current_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

}  // namespace

BlockStore::BlockStore(Load load, int64_t layers, int64_t resident, at::Device device,
                       bool prefetch)
    : load_(std::move(load)), layers_(layers), device_(device), prefetch_(prefetch) {
  for (int64_t layer = 0; layer < resident; ++layer) {
    resident_.push_back(load_(layer).moved_to(device_));
  }
  if (device_.is_cuda()) {
    copies_ = c10::impl::VirtualGuardImpl(device_.type()).getStreamFromGlobalPool(device_);
    for (Slot& slot : slots_) {
      slot.arrived.emplace(device_.type());
      slot.released.emplace(device_.type());
    }
  }
}

BlockStore::~BlockStore() {
  for (Slot& slot : slots_) {
    if (slot.loading.valid()) slot.loading.wait();
  }
}

const WeightMap& BlockStore::fetched(int64_t layer) {
  Slot& slot = slots_[0].layer == layer ? slots_[0] : slots_[1];
  Slot& other = &slot == &slots_[0] ? slots_[1] : slots_[0];
  if (slot.layer != layer) start(slot, layer);
  if (slot.loading.valid()) {
    slot.layer = -1;  // where loading failed
    slot.loading.get();
    slot.layer = layer;
  }
  if (copies_) {
    const c10::Stream stream = current_stream(device_);
    slot.arrived->block(stream);
    // All that uses the other block's weights has been queued by now.
    other.released->record(stream);
  }
  const int64_t next = next_after(layer);
  last_ = layer;
  if (next != layer && other.layer != next) start(other, next);
  return slot.weights;
}

// In the direction of the last two; behind the last block comes the first streamed one.
int64_t BlockStore::next_after(int64_t layer) const {
  const auto first = static_cast<int64_t>(resident_.size());
  const int64_t next = last_ == layer + 1 ? layer - 1 : layer + 1;
  return next >= first && next < layers_ ? next : first;
}

void BlockStore::start(Slot& slot, int64_t layer) {
  if (slot.loading.valid()) slot.loading.wait();
  slot.loading = std::async(std::launch::async, [this, &slot, layer] { load_into(slot, layer); });
  slot.layer = layer;
}

void BlockStore::load_into(Slot& slot, int64_t layer) {
  const c10::NoGradGuard guard;
  WeightMap loaded = load_(layer);
  if (!copies_) {
    slot.weights = std::move(loaded);
    return;
  }
  slot.arrived->synchronize();  // the copy before this one has left the staging memory
  if (slot.staged.empty()) {
    slot.staged = loaded.pinned();
    slot.weights = slot.staged.moved_to(device_);
  } else {
    slot.staged.assign(loaded);
  }
  const c10::StreamGuard on_copies(*copies_);
  slot.released->block(*copies_);
  slot.weights.assign(slot.staged);
  slot.arrived->record(*copies_);
}

}  // namespace sparsescope
