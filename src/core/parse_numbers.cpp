#include "core/parse_numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr int64_t kLargestExtent = int64_t{1} << 20;  // products of three stay far from overflow

template <typename Number>
bool parse_all(std::string_view text, Number& value) {
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && next == end;
}

}  // namespace

int64_t parse_integer(std::string_view text, std::string_view option, int64_t least, int64_t most) {
  int64_t value = 0;
  const bool valid = parse_all(text, value) && value >= least && value <= most;
  if (!valid && most == std::numeric_limits<int64_t>::max()) {
    fail(ErrorKind::kUsage, "{}: expected a whole number of at least {}, found '{}'", option, least,
         text);
  }
  SPARSESCOPE_CHECK(ErrorKind::kUsage, valid, "{}: expected a whole number in {}..{}, found '{}'",
                    option, least, most, text);
  return value;
}

double parse_real(std::string_view text, std::string_view option, double least, double most) {
  double value = 0;
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      parse_all(text, value) && std::isfinite(value) && value >= least && value <= most,
      "{}: expected a number from {} to {}, found '{}'", option, least, most, text);
  return value;
}

std::vector<double> parse_reals(std::string_view text, std::string_view option, double least,
                                double most) {
  std::vector<double> values;
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(',', first), text.size());
    values.push_back(parse_real(text.substr(first, end - first), option, least, most));
    first = end + 1;
  }
  return values;
}

std::vector<int64_t> parse_extents(std::string_view text, std::string_view option, size_t count,
                                   int64_t least) {
  std::vector<int64_t> values;
  std::string_view rest = text;
  bool valid = true;
  while (valid) {
    const size_t comma = rest.find(',');
    int64_t value = 0;
    valid = parse_all(rest.substr(0, comma), value) && value >= least && value <= kLargestExtent;
    values.push_back(value);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  SPARSESCOPE_CHECK(ErrorKind::kUsage, valid && values.size() == count,
                    "{}: expected {} {} up to {} like 8,16,16, found '{}'", option, count,
                    least > 0 ? "positive numbers" : "numbers from 0", kLargestExtent, text);
  return values;
}

std::vector<int64_t> parse_triple(std::string_view text, std::string_view option, int64_t least) {
  return parse_extents(text, option, 3, least);
}

}  // namespace sparsescope
