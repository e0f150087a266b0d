// Which steps, layers and heads an option names: "all", "*", or a comma list of numbers and ranges
// ("0,3,5-8").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sparsescope {

// [count] 1 where the index is named. Error(kUsage) names the option, the piece and the range.
std::vector<uint8_t> parse_index_list(const std::string& text, int64_t count,
                                      const std::string& option);

struct SiteSelection {
  std::vector<uint8_t> steps, layers, heads;  // empty: no site at all

  bool keeps(int64_t step, int64_t layer) const {
    return !steps.empty() && steps[step] != 0 && layers[layer] != 0;
  }
};

// "step=0,10 layer=3 head=*": pieces separated by blanks; a piece that is missing means all. An
// empty text asks for no site. Error(kUsage) names the option.
SiteSelection parse_site_selection(const std::string& text, int64_t steps, int64_t layers,
                                   int64_t heads, const std::string& option);

}  // namespace sparsescope
