// SVOO's CSV: Step,Layer,Head,Sparsity, steps from 1, layers and heads from 0, one row a site.
// "Sparsity" is the kept fraction of the keys. CRLF and four decimals, as the shipped files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sparsescope {

struct SvooTable {
  int64_t steps = 0, layers = 0, heads = 0;
  std::vector<double> kept;  // [steps, layers, heads], 0..1
};

// Rounded up to four decimals.
std::string to_svoo_csv(const SvooTable& table);
// Rows in any order, each site of the largest step, layer and head once; LF or CRLF. Error(kData)
// names the line, or the site that is missing.
SvooTable parse_svoo_csv(std::string_view text, const std::string& what);

}  // namespace sparsescope
