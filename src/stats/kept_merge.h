// What profiles kept whole, joined like their statistics. The arrays are read to be compared where
// two profiles hold the same ones, and otherwise when the joined profile is written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "stats/kept_data.h"

namespace sparsescope {

// place_of: of each prompt before. names: of each site, before and after its prompt has moved.
KeptData move_prompts(KeptData kept, const std::vector<int64_t>& place_of,
                      const std::map<std::string, std::string>& names);

// Adds what `added` holds to `joined`. What both hold must have the same bits; of one call the
// heads of both are kept. Error(kData) names the file of `added` and the place.
void join_kept(KeptData& joined, KeptData added, const std::string& file);

}  // namespace sparsescope
