// Counter-based random numbers: value = f(key, index). Any element can be drawn alone, so results do
// not depend on threads or on the order of draws. Mixing: SplitMix64.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace sparsescope {

inline uint64_t splitmix64(uint64_t value) {
  value += 0x9E3779B97F4A7C15ull;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
  return value ^ (value >> 31);
}

inline uint64_t combine_key(uint64_t key, uint64_t part) { return splitmix64(key ^ splitmix64(part)); }

// [0, 1), 53 bits
inline double uniform(uint64_t key, uint64_t index) {
  return static_cast<double>(combine_key(key, index) >> 11) * 0x1.0p-53;
}

// Standard normal by Box-Muller, one value per index.
inline double normal(uint64_t key, uint64_t index) {
  const double u = 1.0 - uniform(key, 2 * index);  // (0, 1]
  const double angle = 2.0 * std::numbers::pi * uniform(key, 2 * index + 1);
  return std::sqrt(-2.0 * std::log(u)) * std::cos(angle);
}

}  // namespace sparsescope
