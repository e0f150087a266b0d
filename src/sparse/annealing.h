// Sparsity by training step: how BSA and VSA go from dense to their targets.
#pragma once

#include <cstdint>

namespace sparsescope {

// BSA's kept fraction of key tiles: 1 less 0.03 every 30 steps, 0.1 from step 900 on; the nearest
// double of the decimal fraction. step >= 0, here and below.
double bsa_kv_keep_at(int64_t step);

// BSA's kept queries of a window of eight: 8, one fewer every 225 steps, 4 from step 900 on.
int64_t bsa_kept_per_window_at(int64_t step);

struct VsaAnnealing {
  double target = 0.9;    // sparsity
  double rate = 0.03;     // added at a time, > 0
  int64_t interval = 50;  // steps between, >= 1
};

// min(step // interval, target // rate) * rate as FastVideo computes it, in doubles and with the
// floor division of Python: 30 * 0.03 is 0.8999999999999999, and many pairs stop a rate early.
double vsa_sparsity_at(const VsaAnnealing& annealing, int64_t step);

// The sparsity of all late steps.
double vsa_final_sparsity(const VsaAnnealing& annealing);
// Whether that is another number than the target, be it by the last bit: K may differ by one.
bool vsa_misses_target(const VsaAnnealing& annealing);

}  // namespace sparsescope
