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

// The log that SVOO's measurement writes and its script merges to such a file:
//   [Sparsity] Layer 3 | Type: self | Step: 1 | ...
//     Head  0: Sparsity=0.1234
// Steps from 1. Other types of attention and other lines are passed over; where a site is measured
// several times (a prompt each) the largest value stands, as in the shipped files.
SvooTable parse_svoo_log(std::string_view text, const std::string& what);

}  // namespace sparsescope
