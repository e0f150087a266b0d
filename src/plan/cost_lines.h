// Measured kernel costs as straight lines: the time of a call at one setting over that of dense
// attention, as a function of the density, selection and kernel apart. Least squares through the
// points of a series, with slopes that do not fall; where all points have one density, the selection
// is a constant and the kernel proportional to the density. Between the measured shares of BSA's
// queries lines are interpolated, outside the nearest one holds.
#pragma once

#include <vector>

#include "plan/kernel_costs.h"

namespace sparsescope {

// All in units of the time of dense attention.
struct CostLine {
  double selection = 0.0, selection_slope = 0.0;
  double kernel = 0.0, kernel_slope = 0.0;
  double spread = 0.0;  // the most that a point lies off its line, or half its quartiles apart

  double at(double density) const {
    return selection + kernel + (selection_slope + kernel_slope) * density;
  }
  // Faster than dense attention, beyond what the measurement leaves open.
  bool pays_at(double density) const { return at(density) + spread < 1.0; }
  // Below this density it pays; 0 where it never does, 1 where it does at any density.
  double crossover() const;
};

class CostLines {
 public:
  explicit CostLines(const KernelCosts& costs);

  // Error(kUsage) where nothing was measured of this kind.
  CostLine of(const MethodParams& params) const;
  bool has(Method method) const;

  struct Entry {
    MethodParams kind;
    CostLine line;
  };
  const std::vector<Entry>& entries() const { return entries_; }  // in the order of the series

 private:
  CostLine of_query_keep(double query_keep) const;

  std::vector<Entry> entries_;
};

}  // namespace sparsescope
