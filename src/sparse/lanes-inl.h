// Vectors of the bodies that are compiled once for each instruction set. Only plain types here: an
// inline function shared with other files could be linked from the AVX-512 object and crash older
// machines.
#pragma once

#include <cstdint>

namespace sparsescope::detail {
namespace {

template <int kLanes>
struct VectorOf {
  using Type __attribute__((vector_size(kLanes * sizeof(float)))) = float;
  using Bits __attribute__((vector_size(kLanes * sizeof(uint32_t)))) = uint32_t;
  using Half __attribute__((vector_size(kLanes * sizeof(uint16_t)))) = uint16_t;
};

}  // namespace
}  // namespace sparsescope::detail
