// From a fraction to a number of key tiles as each consumer computes it, float traps included, and
// the fraction that makes a consumer arrive at the number that the plan means: half a tile inside
// the interval, where no rounding of 1 - s can reach its ends (1 - 0.95 is slightly high in binary:
// of 1200 tiles a ceiling takes 61).
#pragma once

#include <cstdint>

namespace sparsescope {

// s and r are double; n tiles. dropped: the number is 1 - kept.
int64_t kept_by_ceil(double dropped, int64_t n);  // FastVideo: max(1, min(ceil((1 - s)*n), n))
int64_t kept_by_floor(double ratio, int64_t n);   // Model-Optimizer: max(1, int(r*n))
// SGLang's cube backend: max(1, floor(float32(n)*r)), at most n.
int64_t kept_by_floor_f32(double ratio, int64_t n);
int64_t kept_by_floor_of_dropped(double dropped, int64_t n);  // LightX2V: int((1 - s)*n)

// Error(kInternal) where the consumer would not arrive at kept, which no count below 2^20 does.
double dropped_for_ceil(int64_t kept, int64_t n);
double ratio_for_floor(int64_t kept, int64_t n);
double dropped_for_floor(int64_t kept, int64_t n);
// For an unknown rule: kept by floor and by rounding, one more by ceiling, never less.
double dropped_for_any_rounding(int64_t kept, int64_t n);

}  // namespace sparsescope
