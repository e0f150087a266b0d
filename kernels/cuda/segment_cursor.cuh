// Walks through segments of positions as if they stood one behind the other: the key ranges of an
// item, or the rows of the items that list a range. A tile is filled across their borders, so that
// short segments waste no lanes. Each thread has a cursor of its own and asks for rising offsets.
#pragma once

#include <cstdint>

#include "kernels/attention.h"

namespace sparsescope::cuda {

struct Segment {
  int32_t first = 0, count = 0;
};

// Segments by their numbers in a list of ranges.
struct RangeSegments {
  const int32_t* ids;
  const KeyRange* ranges;
  __device__ int32_t id(int32_t at) const { return ids[at]; }
  __device__ Segment segment(int32_t id) const { return {ranges[id].first, ranges[id].count}; }
};

// In a list of items.
struct ItemSegments {
  const int32_t* ids;
  const SparseItem* items;
  __device__ int32_t id(int32_t at) const { return ids[at]; }
  __device__ Segment segment(int32_t id) const { return {items[id].first_row, items[id].num_rows}; }
};

// Reads one segment and two numbers ahead: a step waits for no load that it started itself. The
// segments are handed in at every call, so that they take no registers between calls.
class SegmentCursor {
 public:
  // Segments [first, end) of the list.
  template <typename Segments>
  __device__ SegmentCursor(const Segments& segments, int32_t first, int32_t end)
      : at_(first - 2), end_(end) {
    if (first < end) ahead_id_ = segments.id(first);
    step(segments);
    step(segments);
  }

  // The position at this offset of all segments together, -1 behind the last.
  template <typename Segments>
  __device__ int32_t position(const Segments& segments, int32_t offset) {
    while (offset >= current_end_) {
      if (at_ + 1 >= end_) return -1;
      step(segments);
    }
    return shift_ + offset;
  }

  // What is left there of the segment; count 0 behind the last.
  template <typename Segments>
  __device__ Segment rest(const Segments& segments, int32_t offset) {
    const int32_t first = position(segments, offset);
    return first < 0 ? Segment{} : Segment{first, current_end_ - offset};
  }

 private:
  // at_: the current segment; the next one is loaded, of the one after that the number is.
  template <typename Segments>
  __device__ void step(const Segments& segments) {
    shift_ = next_.first - current_end_;
    current_end_ += next_.count;
    ++at_;
    next_ = at_ + 1 < end_ ? segments.segment(ahead_id_) : Segment{};
    if (at_ + 2 < end_) ahead_id_ = segments.id(at_ + 2);
  }

  int32_t at_, end_;
  int32_t ahead_id_ = 0;
  int32_t shift_ = 0, current_end_ = 0;  // position less offset; offset where the next one begins
  Segment next_;
};

}  // namespace sparsescope::cuda
