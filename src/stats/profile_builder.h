// Collects what the hook measured, site by site, into a profile.
#pragma once

#include "capture/site_statistics.h"
#include "stats/profile.h"

namespace sparsescope {

class ProfileBuilder {
 public:
  // header: everything but recorded, arrays and maps; its extents bound the sites.
  explicit ProfileBuilder(Profile header);

  // Each site once. map_heads [heads]: the heads whose maps are kept (the others are NaN).
  void add(const SiteStatistics& site, const std::vector<uint8_t>& map_heads);
  Profile take(Json manifest);

 private:
  void add_array(const StatArray& array, int64_t site);
  Profile profile_;
};

}  // namespace sparsescope
