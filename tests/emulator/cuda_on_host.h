// CUDA's device language for a host compiler: included before a kernel source (-include), it gives
// every name that nvcc would build in. What differs by architecture stands in arch/.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/engine.h"

// One block runs at a time, so that one copy of a block's static arrays is enough.
#undef __shared__
#define __shared__ static
#undef __global__
#define __global__
#undef __device__
#define __device__
#undef __host__
#define __host__
#undef __forceinline__
#define __forceinline__ inline
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__
#undef __restrict__
#define __restrict__ __restrict

#define threadIdx (::emulator::self().thread_idx)
#define blockIdx (::emulator::self().block_idx)
#define blockDim (::emulator::shape().block)
#define gridDim (::emulator::shape().grid)

using std::isnan;
using std::max;
using std::min;

inline void __syncthreads() { emulator::meet_at_barrier(0, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace emulator {

struct Vote {
  bool predicate;
  unsigned ballot;
};

inline unsigned ballot(const char* name, unsigned mask, bool predicate) {
  Vote vote{predicate, 0};
  meet_in_warp(name, mask, &vote, [](void* const* arguments) {
    unsigned bits = 0;
    for (int lane = 0; lane < kWarpSize; ++lane) {
      const auto* other = static_cast<const Vote*>(arguments[lane]);
      if (other != nullptr && other->predicate) bits |= 1u << lane;
    }
    for (int lane = 0; lane < kWarpSize; ++lane) {
      if (arguments[lane] != nullptr) static_cast<Vote*>(arguments[lane])->ballot = bits;
    }
  });
  return vote.ballot;
}

template <typename T>
struct Shuffle {
  T value, result;
  int from;  // lane, -1: the own value
};

template <typename T>
T shuffle(const char* name, unsigned mask, T value, int from) {
  static_assert(std::is_trivially_copyable_v<T>);
  Shuffle<T> shuffle{value, value, from};
  meet_in_warp(name, mask, &shuffle, [](void* const* arguments) {
    for (int lane = 0; lane < kWarpSize; ++lane) {
      auto* mine = static_cast<Shuffle<T>*>(arguments[lane]);
      if (mine == nullptr || mine->from < 0) continue;
      const auto* other = static_cast<const Shuffle<T>*>(arguments[mine->from]);
      if (other == nullptr) throw Fault("emulator: a shuffle reads a lane that is not in its mask");
      mine->result = other->value;
    }
  });
  return shuffle.result;
}

// The lane within its segment of width lanes, as the shuffles count.
inline int segment_first(int width) { return self().lane() / width * width; }

}  // namespace emulator

inline void __syncwarp(unsigned mask = 0xffffffffu) { emulator::ballot("__syncwarp", mask, false); }
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return emulator::ballot("__ballot_sync", mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
  return emulator::ballot("__any_sync", mask, predicate != 0) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return emulator::ballot("__all_sync", mask, predicate != 0) == mask;
}
inline unsigned __activemask() { return 0xffffffffu; }

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return emulator::shuffle("__shfl_sync", mask, value,
                           emulator::segment_first(width) + (lane & (width - 1)));
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  const int first = emulator::segment_first(width);
  const int from = emulator::self().lane() ^ lane_mask;
  return emulator::shuffle("__shfl_xor_sync", mask, value, from < first + width ? from : -1);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int from = emulator::self().lane() - static_cast<int>(delta);
  return emulator::shuffle("__shfl_up_sync", mask, value,
                           from >= emulator::segment_first(width) ? from : -1);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int from = emulator::self().lane() + static_cast<int>(delta);
  return emulator::shuffle("__shfl_down_sync", mask, value,
                           from < emulator::segment_first(width) + width ? from : -1);
}

namespace emulator {

// Of the values of all lanes of the mask.
template <typename T, typename Combine>
T reduce(const char* name, unsigned mask, T value, const Combine& combine) {
  struct Part {
    T value, result;
  } part{value, value};
  meet_in_warp(name, mask, &part, [&](void* const* arguments) {
    T result{};
    bool any = false;
    for (int lane = 0; lane < kWarpSize; ++lane) {
      const auto* other = static_cast<const Part*>(arguments[lane]);
      if (other == nullptr) continue;
      result = any ? combine(result, other->value) : other->value;
      any = true;
    }
    for (int lane = 0; lane < kWarpSize; ++lane) {
      if (arguments[lane] != nullptr) static_cast<Part*>(arguments[lane])->result = result;
    }
  });
  return part.result;
}

}  // namespace emulator

template <typename T>
T __reduce_add_sync(unsigned mask, T value) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
  return emulator::reduce("__reduce_add_sync", mask, value, [](T a, T b) {
    return static_cast<T>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
  });
}
template <typename T>
T __reduce_max_sync(unsigned mask, T value) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
  return emulator::reduce("__reduce_max_sync", mask, value,
                          [](T a, T b) { return std::max(a, b); });
}

// The lanes that hold the same value.
inline unsigned __match_any_sync(unsigned mask, int value) {
  struct Match {
    int value;
    unsigned same;
  } match{value, 0};
  emulator::meet_in_warp("__match_any_sync", mask, &match, [](void* const* arguments) {
    for (int lane = 0; lane < emulator::kWarpSize; ++lane) {
      auto* mine = static_cast<Match*>(arguments[lane]);
      for (int other = 0; mine != nullptr && other < emulator::kWarpSize; ++other) {
        const auto* theirs = static_cast<const Match*>(arguments[other]);
        if (theirs != nullptr && theirs->value == mine->value) mine->same |= 1u << other;
      }
    }
  });
  return match.same;
}

template <typename T>
T __ldg(const T* address) {
  return *address;
}

template <typename T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  *address = old + value;
  return old;
}
template <typename T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  *address = std::max(old, value);
  return old;
}
template <typename T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  *address = std::min(old, value);
  return old;
}
template <typename T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  *address = old | value;
  return old;
}
template <typename T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  const T old = *address;
  *address = value;
  return old;
}
template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}

inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __popcll(unsigned long long bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
inline int __clzll(long long bits) {
  return std::countl_zero(static_cast<unsigned long long>(bits));
}
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
// Rounded upwards.
inline float __double2float_ru(double value) {
  const auto nearest = static_cast<float>(value);
  return nearest >= value ? nearest : std::nextafter(nearest, INFINITY);
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
