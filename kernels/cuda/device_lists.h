// The lists of a sparse call on the device: where they stand, or as copies that live as long as
// these objects.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/attention.h"
#include "kernels/cuda/device_buffer.h"

namespace sparsescope::cuda {

// An array.
template <typename T>
class DeviceValues {
 public:
  DeviceValues(const T* values, int64_t count, MemorySpace space, cudaStream_t stream)
      : data_(values) {
    if (space == MemorySpace::kDevice || values == nullptr) return;
    copy_ = to_device(std::span<const T>(values, count), stream);
    data_ = copy_.data();
  }

  const T* data() const { return data_; }

 private:
  const T* data_;
  DeviceBuffer<T> copy_;
};

class DeviceLists {
 public:
  DeviceLists(const SparseSelection& selection, cudaStream_t stream);

  const SparseSelection& view() const { return view_; }

 private:
  struct Sizes {
    int64_t rows = 0, range_ids = 0, items = 0;
  };
  DeviceLists(const SparseSelection& selection, const Sizes& sizes, cudaStream_t stream);
  static Sizes sizes_of(const SparseSelection& selection);

  DeviceValues<int32_t> key_order_, rows_, range_ids_;
  DeviceValues<KeyRange> ranges_;
  DeviceValues<SparseItem> items_;
  DeviceValues<SparseStrand> strands_;
  SparseSelection view_;
};

class DeviceCopies {
 public:
  DeviceCopies(const RowCopies& copies, MemorySpace space, cudaStream_t stream)
      : num_rows_(copies.num_rows),
        first_(copies.first, num_rows_ + 1, space, stream),
        tokens_(copies.tokens,
                space == MemorySpace::kHost && num_rows_ > 0 ? copies.first[num_rows_] : 0, space,
                stream) {}

  RowCopies view() const { return {num_rows_, first_.data(), tokens_.data()}; }

 private:
  int64_t num_rows_;
  DeviceValues<int32_t> first_, tokens_;
};

}  // namespace sparsescope::cuda
