// Numbers of options and file texts: the whole text must be one, else Error(kUsage) that names the
// option, what is allowed and what was found.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace sparsescope {

int64_t parse_integer(std::string_view text, std::string_view option, int64_t least,
                      int64_t most = std::numeric_limits<int64_t>::max());
// A finite number in [least, most].
double parse_real(std::string_view text, std::string_view option, double least, double most);
// "0.125,0.5" -> finite numbers in [least, most]; one at least.
std::vector<double> parse_reals(std::string_view text, std::string_view option, double least,
                                double most);
// "1,3,2048,64" -> count numbers of at least `least`.
std::vector<int64_t> parse_extents(std::string_view text, std::string_view option, size_t count,
                                   int64_t least = 1);
// "8,16,16" -> three numbers of at least `least`.
std::vector<int64_t> parse_triple(std::string_view text, std::string_view option,
                                  int64_t least = 1);

}  // namespace sparsescope
