#include "stats/site_selection.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string_view>

#include "core/error.h"

namespace sparsescope {
namespace {

int64_t parse_index(std::string_view text, int64_t count, const std::string& option) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  SPARSESCOPE_CHECK(
      ErrorKind::kUsage,
      error == std::errc() && end == text.data() + text.size() && value >= 0 && value < count,
      "{}: expected numbers from 0 to {} (a comma list, ranges a-b, or all), found '{}'", option,
      count - 1, text);
  return value;
}

}  // namespace

std::vector<uint8_t> parse_index_list(const std::string& text, int64_t count,
                                      const std::string& option) {
  if (text == "all" || text == "*") return std::vector<uint8_t>(static_cast<size_t>(count), 1);
  std::vector<uint8_t> named(static_cast<size_t>(count), 0);
  std::string_view rest = text;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view piece = rest.substr(0, comma);
    const size_t dash = piece.find('-');
    const int64_t first = parse_index(piece.substr(0, dash), count, option);
    const int64_t last =
        dash == std::string_view::npos ? first : parse_index(piece.substr(dash + 1), count, option);
    SPARSESCOPE_CHECK(ErrorKind::kUsage, first <= last,
                      "{}: the range '{}' runs backwards; expected a-b with a <= b", option, piece);
    std::fill(named.begin() + first, named.begin() + last + 1, uint8_t{1});
    if (comma == std::string_view::npos) return named;
    rest.remove_prefix(comma + 1);
  }
}

SiteSelection parse_site_selection(const std::string& text, int64_t steps, int64_t layers,
                                   int64_t heads, const std::string& option) {
  SiteSelection selection;
  std::istringstream pieces(text);
  for (std::string piece; pieces >> piece;) {
    const size_t equals = piece.find('=');
    const std::string key = piece.substr(0, equals);
    const bool known = key == "step" || key == "layer" || key == "head";
    SPARSESCOPE_CHECK(ErrorKind::kUsage, known && equals != std::string::npos,
                      "{}: expected step=LIST, layer=LIST and head=LIST with blanks between, "
                      "found '{}'",
                      option, piece);
    auto& named = key == "step"    ? selection.steps
                  : key == "layer" ? selection.layers
                                   : selection.heads;
    const int64_t count = key == "step" ? steps : key == "layer" ? layers : heads;
    SPARSESCOPE_CHECK(ErrorKind::kUsage, named.empty(), "{}: {} stands twice", option, key);
    named = parse_index_list(piece.substr(equals + 1), count, option + " " + key);
  }
  if (selection.steps.empty() && selection.layers.empty() && selection.heads.empty()) {
    return selection;
  }
  if (selection.steps.empty()) selection.steps.assign(static_cast<size_t>(steps), 1);
  if (selection.layers.empty()) selection.layers.assign(static_cast<size_t>(layers), 1);
  if (selection.heads.empty()) selection.heads.assign(static_cast<size_t>(heads), 1);
  return selection;
}

}  // namespace sparsescope
