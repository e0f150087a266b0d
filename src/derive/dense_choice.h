// Which steps and layers stay dense: as asked for, or found from the data.
#pragma once

#include <string>
#include <vector>

#include "derive/allocation.h"

namespace sparsescope {

// Automatic choice: leading steps, and layers, whose mean recall under a provisional plan lies more
// than this below the median of all steps (layers).
inline constexpr double kDenseRecallMargin = 0.05;
// and at most this share of the steps and of the layers, worst first
inline constexpr double kMaxDenseShare = 0.25;

struct DenseChoice {
  DenseSites sites;
  std::vector<std::string> remarks;  // for the evidence
};

// Steps and layers that the options name, and layers without records; nothing found from the data.
DenseChoice named_dense_sites(const Profile& profile, const DeriveOptions& options);

// Adds what the provisional allocation (made with the sites of choice) says about steps and layers
// that the options leave to the data.
void add_found_dense_sites(DenseChoice& choice, const Profile& profile,
                           const DeriveOptions& options, const MethodCurves& curves,
                           const UnitGrid& grid, const Allocation& provisional);

}  // namespace sparsescope
