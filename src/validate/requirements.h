// What `validate --require` asks of a report's summary: "psnr>=28 rel_l2<=0.1 density<=0.3".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sparsescope {

enum class BoundKind { kAtLeast, kAtMost };

struct Requirement {
  std::string name;  // a number of the summary
  BoundKind comparison = BoundKind::kAtLeast;
  double bound = 0;

  bool holds_for(double value) const {
    return comparison == BoundKind::kAtLeast ? value >= bound : value <= bound;
  }
};

// The numbers of a summary that can be asked for, in the order of the report.
const std::vector<std::string>& summary_names();

// What such a number can be: shares within [0, 1], similarities within [-1, 1], PSNR at most
// kMaxPsnr, errors and times not negative. Infinite where there is no bound.
struct NaturalRange {
  double low, high;
};
NaturalRange natural_range(std::string_view name);

// Blank-separated NAME>=NUMBER or NAME<=NUMBER; psnr and ssim mean psnr_latent and ssim_latent.
// Error(kUsage) lists the names.
std::vector<Requirement> parse_requirements(std::string_view text);
std::string to_string(BoundKind comparison);  // ">=", "<="

}  // namespace sparsescope
