#include "sparse/annealing.h"

#include <algorithm>
#include <cmath>

namespace sparsescope {
namespace {

// a // b for a >= 0 and b > 0: the quotient of what fmod leaves, rounded to a whole number.
double floor_divide(double a, double b) {
  const double quotient = (a - std::fmod(a, b)) / b;
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

}  // namespace

double bsa_kv_keep_at(int64_t step) {
  const int64_t stage = std::min<int64_t>(step / 30, 30);
  return static_cast<double>(100 - 3 * stage) / 100.0;
}

int64_t bsa_kept_per_window_at(int64_t step) { return 8 - std::min<int64_t>(4 * step / 900, 4); }

double vsa_sparsity_at(const VsaAnnealing& annealing, int64_t step) {
  const auto stage = static_cast<double>(step / annealing.interval);
  return std::min(stage, floor_divide(annealing.target, annealing.rate)) * annealing.rate;
}

double vsa_final_sparsity(const VsaAnnealing& annealing) {
  return floor_divide(annealing.target, annealing.rate) * annealing.rate;
}

bool vsa_misses_target(const VsaAnnealing& annealing) {
  return vsa_final_sparsity(annealing) != annealing.target;
}

}  // namespace sparsescope
